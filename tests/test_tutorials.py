"""Tutorials are executed: what a page shows as a file, as Python or as a command is true.

``MCUSIM_GOLDEN=write pytest tests/test_tutorials.py`` puts the present output of commands into them.
"""

from __future__ import annotations

import doctest
import io
import os
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcusim.cli.main import build
from mcusim.memory import ALLOCATORS, PLANNERS
from mcusim.update import SCHEMES

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(page for folder in ("tutorials", "how-to") for page in (DOCS / folder).glob("*.md"))
EXTENDED = (SCHEMES, PLANNERS, ALLOCATORS)
GROUPS = {registry.group for registry in EXTENDED}
WRITE = os.environ.get("MCUSIM_GOLDEN") == "write"
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_tutorials(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From top to bottom in one empty folder, as a reader would."""
    text = page.read_text("utf-8")
    if "import torch" in text:
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    for registry in EXTENDED:
        monkeypatch.setattr(registry, "_own", dict(registry._own))
    names: dict[str, object] = {}
    for language, title, body in FENCE.findall(text):
        if language == "toml" and "entry-points" in body:
            assert set(tomllib.loads(body)["project"]["entry-points"]) <= GROUPS
        elif title:
            (tmp_path / title).write_text(body, "utf-8")
        elif language == "python":
            python(body, names, page)
        elif language == "console":
            console(body, page)
        else:
            pytest.fail(f"{page.name}: nobody runs a block of {language}")


def python(body: str, names: dict[str, object], page: Path) -> None:
    """Run a session; names of earlier ones are known, errors show what came instead."""
    example = doctest.DocTestParser().get_doctest(body, names, page.name, str(page), 0)
    assert example.examples, f"{page.name}: a block of Python without >>> shows nothing"
    runner, output = doctest.DocTestRunner(verbose=False), io.StringIO()
    runner.run(example, out=output.write, clear_globs=False)
    names.update(example.globs)
    assert runner.summarize(verbose=False).failed == 0, output.getvalue()


def console(body: str, page: Path) -> None:
    """Run one command and compare what it prints."""
    first, _, shown = body.partition("\n")
    assert first.startswith("$ mcusim "), first
    result = CliRunner().invoke(build(), shlex.split(first)[2:])
    assert result.exit_code in (0, 3), result.output
    if WRITE and stable(shown) != stable(result.stdout):
        text = page.read_text("utf-8")
        page.write_text(
            text.replace(f"```console\n{body}```", f"```console\n{first}\n{result.stdout}```"), "utf-8"
        )
    else:
        assert stable(shown) == stable(result.stdout)


def stable(text: str) -> str:
    """Return an output without the digests that name runs: they change with every change of the program."""
    return re.sub(r"\b[0-9a-f]{16}\b", "0" * 16, text)


def test_there_are_tutorials() -> None:
    assert {page.stem for page in PAGES} >= {"own-network", "own-board", "traces", "studies"}
