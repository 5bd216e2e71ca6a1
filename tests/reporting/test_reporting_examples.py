"""The pages that the documentation shows are those that the commands make today."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from mcusim.reporting.document import asset

FOLDER = Path(__file__).parents[2] / "docs" / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.html"))
ROOMS = {
    "plan": ("arena", "layers", "device", "memory", "ops", "origin"),
    "run": ("arena", "layers", "training", "device", "memory", "ops", "origin"),
    "difference": ("totals", "arenas", "ops", "origin"),
    "study": ("fronts", "choices", "candidates", "course", "runs", "origin"),
}


def test_every_page_that_is_made_is_there_and_linked() -> None:
    made = runpy.run_path(str(FOLDER / "make.py"))["CALLS"]
    assert NAMES == sorted(made) == sorted(ROOMS)
    links = (FOLDER.parent / "examples.md").read_text("utf-8")
    assert all(f"(examples/{name}.html)" in links for name in NAMES)


@pytest.mark.parametrize("name", ROOMS)
def test_a_page_is_small_and_made_by_the_scripts_of_today(name: str) -> None:
    text = (FOLDER / f"{name}.html").read_text("utf-8")
    assert len(text.encode()) < 400_000
    way_out = "python docs/examples/make.py makes it anew"
    assert asset("page.js") in text, way_out
    assert asset("page.css") in text, way_out
    for room in ROOMS[name]:
        assert f'<section id="{room}"' in text, way_out
