"""Every example of every docstring and page works as it is written."""

from __future__ import annotations

import ast
import doctest
import io
import re
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcusim
from mcusim.update import SCHEMES

pytest_plugins = ["pytester"]
ROOT = Path(mcusim.__file__).parent
TOP = Path(__file__).parents[1]
DOCS = {path for path in (TOP / "docs").rglob("*.md") if path.parent.name not in ("tutorials", "how-to")}
PAGES = sorted({*TOP.glob("*.md"), *DOCS, *(TOP / "mcusim").rglob("*.md")})
"""Tutorials and recipes are run as wholes: tests/test_tutorials.py."""
PUBLIC = ("mbv2-w0.35", "cifar10(")
"""What an example names that is fetched, and so is run only where it is."""


def docstrings() -> list[tuple[str, str]]:
    """Return every docstring of the package that holds an example, with the place where it stands."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                if ">>> " in text or "code-block::" in text:
                    found.append((f"{path.relative_to(ROOT)}:{getattr(node, 'name', '')}", text))
    return found


def blocks(language: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of a language on all pages."""
    return [
        (f"{page.relative_to(TOP)}:{number}", block)
        for page in PAGES
        for number, block in enumerate(re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.S))
    ]


def needed(text: str, request: pytest.FixtureRequest) -> None:
    if any(word in text for word in PUBLIC):
        request.getfixturevalue("data_dir")


def session_examples(texts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(place, text) for place, text in texts if ">>> " in text and not place.startswith("README.md")]


@pytest.mark.parametrize(
    ("place", "text"), session_examples([*docstrings(), *blocks("python")]), ids=lambda value: value[:40]
)
def test_what_is_typed_answers_as_it_is_said(place: str, text: str, request: pytest.FixtureRequest) -> None:
    needed(text, request)
    runner, output = doctest.DocTestRunner(verbose=False), io.StringIO()
    runner.run(doctest.DocTestParser().get_doctest(text, {}, place, None, 0), out=output.write)
    assert runner.summarize(verbose=False).failed == 0, output.getvalue()


def test_the_code_of_docstrings_runs_as_tests(pytester: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:mcusim -p mcusim.gate.pytest_plugin")
    seen = 0
    for _, text in docstrings():
        for block in re.findall(r"\.\. code-block:: python\n\n((?:(?: {4}.*)?\n)+)", text + "\n"):
            pytester.makepyfile(textwrap.dedent(block))
            pytester.runpytest_inprocess("--strict-markers", "-p", "no:cacheprovider").assert_outcomes(
                passed=1
            )
            seen += 1
    assert seen == sum(text.count("code-block:: python") for _, text in docstrings()) > 0


def own_network() -> dict[str, Any]:
    """Return what a page takes to be the reader's own: a network of PyTorch, examples and labels."""
    nn = pytest.importorskip("torch").nn
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    examples = (images / 127.5 - 1).astype(np.float32)
    layers = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 4)
    own = {"module": nn.Sequential(*layers), "examples": examples, "images": images}
    return own | {"labels": np.arange(8) % 4}


@pytest.mark.parametrize(("place", "text"), blocks("python"), ids=lambda value: value[:40])
def test_the_code_of_pages_runs(
    place: str, text: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if ">>> " in text:
        assert doctest.DocTestParser().get_examples(text)
        return  # run above, or by tests/test_readme.py
    needed(text, request)
    monkeypatch.chdir(tmp_path)
    train = mcusim.Session.train
    monkeypatch.setattr(mcusim.Session, "train", lambda *a, **k: train(*a, **{**k, "limit": 2}))
    monkeypatch.setattr(SCHEMES, "_own", dict(SCHEMES._own))
    names: dict[str, Any] = {"mcusim": mcusim, "np": np, "__name__": "example"}
    if "np.savez" in text:
        used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        own = used - names.keys() - {"int"}
        names |= dict.fromkeys(own, np.zeros((4, 2), np.float32))  # the reader's own arrays
    if "quantize(module, " in text:
        names |= own_network()
    exec(compile(text, place, "exec", dont_inherit=True), names)
    if "SCHEMES.register" in text:
        plan = mcusim.Session(mcusim.load("synthetic-mbv2"), mcusim.board("nrf52840"), "mine:every=3").plan()
        assert plan.fits
        assert plan.settings.update == "mine:every=3"


@pytest.mark.parametrize(("place", "text"), blocks("toml"), ids=lambda value: value[:40])
def test_the_tables_of_pages_are_toml(place: str, text: str) -> None:
    assert tomllib.loads(text), place


def test_something_is_looked_at() -> None:
    assert len(docstrings()) >= 2
    assert {place.partition(":")[0] for place, _ in blocks("python")} >= {
        "README.md",
        "mcusim/update/README.md",
    }
