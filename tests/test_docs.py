"""The documentation tells the truth: its tables are what the benchmarks print.

``MCUSIM_GOLDEN=write pytest tests/test_docs.py`` puts the present output into it.
"""

from __future__ import annotations

import csv
import os
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from test_house import FLOORS

ROOT = Path(__file__).parents[1]
MEMORY = ROOT / "docs" / "memory.md"
WRITE = os.environ.get("MCUSIM_GOLDEN") == "write"


def agree(name: str, output: str) -> None:
    """Compare what stands between the markers of a name with an output, or write it there."""
    text = MEMORY.read_text("utf-8")
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- end -->", text, re.S)
    assert found is not None
    if WRITE:
        MEMORY.write_text(f"{text[: found.start(1)]}\n{output}\n\n{text[found.end(1) :]}", "utf-8")
    else:
        assert found[1].strip() == output.strip()


def benchmark(name: str) -> dict[str, Any]:
    """Return the names that a benchmark defines."""
    return runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py"))


def test_every_invariant_has_a_test_of_its_name():
    tests = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").glob("*/test_*.py"))
    named = re.findall(r"def test_invariants?_(\d)(?:_and_(\d))?_", tests)
    assert {int(number) for numbers in named for number in numbers if number} == set(range(1, 9))


NOTES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "mcusim").glob("*/README.md"))]


@pytest.mark.parametrize("note", NOTES, ids=lambda note: str(note.relative_to(ROOT)))
def test_notes_name_files_that_exist(note):
    """From the top of the checkout, the note's own folder, or the package's."""
    named = re.findall(r"`([\w./-]+(?:/[\w-]+|\.(?:py|md|toml|yml|json)))`", note.read_text("utf-8"))
    assert named
    places = (ROOT, note.parent, ROOT / "mcusim")
    assert [name for name in named if not any((place / name).exists() for place in places)] == []


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "mcusim" / "py.typed").is_file()


def test_the_note_on_architecture_shows_the_floors_of_the_house():
    text = (ROOT / "docs" / "design" / "architecture.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| (\d+) \| `(\w+)` \|", text)
    assert {room: int(floor) for floor, room in rows} == FLOORS


def test_the_step_beside_tinyengine(data_dir):
    found = benchmark("tinyengine")
    agree("tinyengine", found["table"]())
    ours, theirs = found["ours"](), found["TINYENGINE"]
    for name in ("bound", "longest first", "largest first", "weights", "biases"):
        assert ours[name] == theirs[name], name
    assert ours["best"] == ours["bound"] == 163_840


def test_inference_beside_x_cube_ai(data_dir):
    found = benchmark("zoo_memory")
    rows = found["rows"](data_dir)
    agree("zoo", found["table"](rows))
    assert max(row.more for row in rows) < 0.25


def test_the_planners_beside_vela():
    found = benchmark("planners")
    with found["TABLE"].open(newline="") as file:
        header, *cells = csv.reader(file)
    kinds = [found["Row"].__annotations__[name] for name in header]
    rows = [
        found["Row"](*(int(c) if kind == "int" else c for c, kind in zip(row, kinds, strict=True)))
        for row in cells
    ]
    agree("planners", found["summary"](rows))
    assert all(row.ours <= row.vela and row.height >= row.bound for row in rows)
