"""The page of promises names tests that exist, and says what is recorded of their long forms."""

from __future__ import annotations

import ast
import csv
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "promises.md"
PROMISES, _, LONG = PAGE.read_text("utf-8").partition("## The long forms")
ROWS = [line for line in PROMISES.splitlines() if line.startswith("| ") and "promise |" not in line]


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


def recorded(file: str, of: str, counts: tuple[str, ...]) -> list[list[str]]:
    """Return the sums of a recorded outcome as rows of a table."""
    sums: dict[str, Counter[str]] = {}
    with (ROOT / "tests" / file / "outcomes.csv").open(encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            sums.setdefault(row[of], Counter()).update({name: int(row[name]) for name in counts})
    return [[name, *(f"{found[count]:,}" for count in counts)] for name, found in sorted(sums.items())]


def test_the_page_says_what_the_long_forms_ended_in() -> None:
    said = [line.strip("| ").split(" | ") for line in LONG.splitlines() if re.match(r"\| \S.*\d \|$", line)]
    fuzzed = recorded("fuzz", "reader", ("mutations", "read", "refused"))
    assert said == fuzzed + recorded("crash", "signal", ("count",))


@pytest.mark.parametrize(("folder", "again"), [("fuzz", "reader"), ("crash", "signal")])
def test_no_round_is_counted_twice(folder: str, again: str) -> None:
    with (ROOT / "tests" / folder / "outcomes.csv").open(encoding="utf-8") as file:
        rounds = Counter((row[again], row["seed"], row.get("exit", "")) for row in csv.DictReader(file))
    assert set(rounds.values()) == {1}
