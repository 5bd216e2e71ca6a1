"""The habits of the house, enforced: who may import whom, how long a file may be, what stays light."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import mcusim
from mcusim.cli.main import VERBS

ROOT = Path(mcusim.__file__).parent
FLOORS = {
    "core": 0, "graph": 1, "events": 1, "sections": 1, "kernels": 2, "memory": 2, "mcu": 2,
    "tasks": 3, "update": 3, "simplify": 3, "traces": 3, "files": 3, "data": 3, "testing": 3,
    "lowering": 4,
    "engine": 5, "planning": 5, "compress": 5, "deployment": 6, "session": 7, "explore": 8, "emulation": 8,
    "studies": 9, "gate": 9, "proof": 9, "reporting": 10, "cli": 11,
}  # fmt: skip
MAX_LINES = 400
CLASS = re.compile(r"^class ([A-Za-z]\w*)", re.MULTILINE)
IMPORT = re.compile(
    r"^[ \t]*(?P<from>from[ \t]+)?(?(from)|import[ \t]+)(?P<module>[\w.]+)"
    r"(?(from)[ \t]+import[ \t]+)(?P<names>(?(from)(?:\([^)]*\)|.*)|.*))",
    re.MULTILINE,
)
HEAVY = (
    "numba", "pandas", "pyarrow", "simpy", "pydantic", "rich", "typer", "torch", "tflite", "onnx",
    "matplotlib", "ortools", "scipy", "PIL", "optuna", "distributed", "dask", "sqlalchemy",
)  # fmt: skip


def sources() -> list[Path]:
    """Return every module; ``assets`` holds what an installed package carries along, not code of a room."""
    return sorted(p for p in ROOT.rglob("*.py") if p.relative_to(ROOT).parts[0] != "assets")


@cache
def tree(path: Path) -> ast.Module:
    """Return what a file says, read once for all tests."""
    return ast.parse(path.read_text("utf-8"))


@cache
def imports(path: Path) -> tuple[tuple[str, int], ...]:
    """Return every module of this package that a file imports, inside functions too, with the line.

    Read as text, which takes a thirtieth of the time of `imports_as_parsed`, its slow twin.
    """
    text, found = path.read_text("utf-8"), []
    for match in IMPORT.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        module, names = match["module"], match["names"]
        if match["from"]:
            assert not module.startswith("."), f"{path}:{line} imports relatively"
            names = re.sub(r"#.*", "", names).strip("() ")
            module = [f"{module}.{name.split()[0]}" for name in names.split(",") if name.strip()]
        else:
            module = [name.split()[0] for name in f"{module} {names}".split(",")]
        found += ((name, line) for name in module if name.split(".")[0] == "mcusim")
    return tuple(found)


def imports_as_parsed(path: Path) -> tuple[tuple[str, int], ...]:
    """Return what `imports` returns, from the syntax tree."""
    found: list[tuple[str, int]] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found += ((name, node.lineno) for name in names if name.split(".")[0] == "mcusim")
    return tuple(found)


@pytest.mark.smoke
def test_no_two_classes_share_a_name() -> None:
    """One noun, one meaning: who reads ``Block`` in an error or a docstring knows which one it is."""
    where: dict[str, list[Path]] = {}
    for path in sources():
        for name in CLASS.findall(path.read_text("utf-8")):
            where.setdefault(name, []).append(path)
    assert where
    assert not {name: paths for name, paths in where.items() if len(paths) > 1}


@pytest.mark.smoke
def test_imports_go_down() -> None:
    wrong = []
    for path in sources():
        parts = path.relative_to(ROOT).parts
        if len(parts) == 1:
            continue  # the package's own door opens on every room
        room = parts[0]
        for name, line in imports(path):
            other = name.split(".")[1] if "." in name else ""
            if other not in FLOORS:  # mcusim itself: its version, nothing of a room
                assert other in ("__version__", ""), f"{path}:{line} imports {name}"
                continue
            down = FLOORS[other] < FLOORS[room]
            if not (down or other == room):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {room} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_no_import_is_overlooked() -> None:
    """An example in a docstring may be found too."""
    for path in sources():
        assert {*imports_as_parsed(path)} <= {*imports(path)}, path


def links(path: Path, modules: set[str]) -> Iterator[str]:
    """Yield every module of this package that a file imports; packages it passes through do not count."""
    for name, _ in imports(path):
        found = name if name in modules else name.rpartition(".")[0]
        if found in modules:
            yield found


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the sets of nodes that reach each other (strongly connected components of more than one)."""

    def reached(graph: dict[str, set[str]], start: str) -> set[str]:
        found, todo = set(), [start]
        while todo:
            for name in graph.get(todo.pop(), ()):
                if name not in found:
                    found.add(name)
                    todo.append(name)
        return found

    reach = {name: reached(graph, name) for name in graph}
    rings = {frozenset({a, *(b for b in reach[a] if a in reach.get(b, ()))}) for a in graph if a in reach[a]}
    return sorted(sorted(ring) for ring in rings)


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}, "e": {"a", "missing"}}
    assert circles(graph) == [["b", "c"], ["d"]]


@pytest.mark.smoke
def test_no_circle_of_imports() -> None:
    """Inside rooms too, and whether an import is for types only or within a function."""
    names = {".".join(p.relative_to(ROOT.parent).with_suffix("").parts): p for p in sources()}
    places = {
        name.removesuffix(".__init__"): path for name, path in names.items() if name != "mcusim.__init__"
    }
    graph = {name: set(links(path, {*places})) for name, path in places.items()}
    assert sum(map(len, graph.values())) > len(graph)  # it sees imports at all
    assert not circles(graph), "\n".join(" <-> ".join(ring) for ring in circles(graph))


def test_every_folder_is_a_room() -> None:
    rooms = {p.parent.name for p in ROOT.glob("*/__init__.py")}
    assert rooms == set(FLOORS)


def test_no_room_takes_the_place_of_a_public_name() -> None:
    """Importing a room sets its name on the package: a function of that name would be gone."""
    rooms = {p.parent.name for p in ROOT.glob("*/__init__.py")}
    assert rooms & set(mcusim.__all__) == {"data"}
    assert not rooms & set(VERBS)


def test_files_are_short() -> None:
    lengths = {p: len(p.read_text("utf-8").splitlines()) for p in sources()}
    assert not {str(p): n for p, n in lengths.items() if n > MAX_LINES}


def test_every_module_says_what_it_is() -> None:
    silent = [p for p in sources() if not ast.get_docstring(tree(p))]
    assert not silent


def test_public_names_exist() -> None:
    for name in mcusim.__all__:
        assert getattr(mcusim, name) is not None
    assert set(mcusim.__all__) <= set(dir(mcusim))
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = mcusim.nothing_like_it


def test_the_package_is_light() -> None:
    script = f"import sys, mcusim; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_is_light() -> None:
    """It lists every verb and imports none: a person who looks for a verb does not wait for all of them."""
    heavy = {*HEAVY, "numpy"} - {"rich", "typer"}
    script = f"""
import sys
from mcusim.cli.main import main
sys.argv = ["mcusim", "--help"]
try:
    main()
except SystemExit:
    print([m for m in {sorted(heavy)} if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *text, found = done.stdout.splitlines()
    assert found == "[]"
    assert all(re.search(rf"\b{verb} ", "\n".join(text)) for verb in VERBS)


def test_every_verb_is_registered() -> None:
    files = {m.name for m in pkgutil.iter_modules([str(ROOT / "cli")])}
    verbs = {
        name
        for name in files
        if name not in ("main", "__main__") and hasattr(importlib.import_module(f"mcusim.cli.{name}"), name)
    }
    assert verbs == set(VERBS)


def test_nothing_of_this_machine_is_written_down() -> None:
    words = ("/work" + "/", "/tmp" + "/")
    for path in [*sources(), *ROOT.rglob("*.toml")]:
        text = path.read_text("utf-8")
        assert not [w for w in words if w in text], path
