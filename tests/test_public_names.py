"""What people read and copy uses the public names: notebooks, tutorials, recipes, pages, benchmarks."""

from __future__ import annotations

import ast
import doctest
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import mcusim

ROOT = Path(__file__).parents[1]
PUBLIC = {"mcusim": {*mcusim.__all__}, "mcusim.data": {*mcusim.data.__all__}}
EXTENSIONS = {
    name: {*import_module(name).__all__} for name in ("mcusim.update", "mcusim.memory", "mcusim.testing")
}
"""What a scheme, a planner or an allocator of one's own is made of, and held to."""
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the module and the name of all that is imported from this package; no name for a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.split(".")[0] == "mcusim")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mcusim":
            yield from ((node.module or "", alias.name) for alias in node.names)


def private(source: str, known: dict[str, set[str]]) -> list[str]:
    """Return what a text of Python uses of this package and is not among the names that are known."""
    tree = ast.parse(source)
    wrong = [
        f"{module}.{name}" if name else module
        for module, name in imported(tree)
        if module not in known or (name and name not in known[module])
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "mcusim":
            wrong += [] if node.attr in known["mcusim"] else [f"mcusim.{node.attr}"]
    return wrong


def sessions(page: Path) -> str:
    """Return the Python of a page, prompts removed."""
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    parse = doctest.DocTestParser().get_examples
    return "\n".join("".join(e.source for e in parse(block)) or block for block in blocks)


def test_private_names_are_found():
    assert private("import mcusim\nmcusim.load('x')\nfrom mcusim.data import cifar10", PUBLIC) == []
    assert private("from mcusim.engine.state import State\nimport mcusim.cli", PUBLIC) == [
        "mcusim.engine.state.State", "mcusim.cli",
    ]  # fmt: skip
    assert private("import mcusim\nmcusim.engine.run()", PUBLIC) == ["mcusim.engine"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_use_public_names_alone(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    source = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert "mcusim" in source
    assert private(source, PUBLIC) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_use_public_names_alone(page):
    """Recipes for extensions also those that the rooms to be extended name."""
    assert private(sessions(page), PUBLIC | EXTENSIONS if page.parent.name == "how-to" else PUBLIC) == []


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: str(path.relative_to(ROOT / "benchmarks")))
def test_benchmarks_use_the_public_name_where_there_is_one(path):
    """What they measure may be inside."""
    public = {id(getattr(mcusim, name)): name for name in mcusim.__all__}
    for module, name in imported(ast.parse(path.read_text("utf-8"))):
        if name and module not in PUBLIC:
            value = getattr(import_module(module), name)
            assert public.get(id(value)) is None, f"{module}.{name} is mcusim.{public[id(value)]}"
