"""The page of promises names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "promises.md"
ROWS = [
    line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ") and "promise |" not in line
]


def named_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:50])
def test_every_promise_is_held_by_tests_that_exist(row: str) -> None:
    promise, _, held = row.strip("| ").rpartition(" | ")
    assert promise.endswith(".")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", held)
    assert named
    assert re.sub(r"`[^`]*`|[, ]", "", held) == ""
    for file, test in named:
        assert test in named_in(ROOT / file) if test else named_in(ROOT / file)


def test_there_are_promises() -> None:
    assert len(ROWS) > 25
