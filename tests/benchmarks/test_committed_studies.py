"""The studies under ``benchmarks/studies``: each is one, and its result has every point of it."""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path

import pytest

from mcusim.studies.axes import Space
from mcusim.studies.study import Study

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STUDIES = sorted((BENCHMARKS / "studies").glob("*.toml"))
SEARCHED = [path for path in STUDIES if path.stem.startswith("searched")]


def test_there_are_some():
    assert {"speech", "table", "table-rates", "64kib"} <= {path.stem for path in STUDIES}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_result_of_a_study_has_every_point_of_it(path):
    space = Space(Study.read(path))
    with path.with_suffix(".csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [axis.name for axis in space.axes]
    wanted = product(*(axis.labels for axis in space.axes), map(str, space.seeds))
    assert sorted((*(row[name] for name in names), row["seed"]) for row in rows) == sorted(wanted)
    assert {row["status"] for row in rows} <= {"done", "does not fit"}
    assert all(row["reason"] for row in rows if row["status"] != "done")


@pytest.mark.parametrize("path", SEARCHED, ids=lambda path: path.stem)
def test_what_a_search_chose_is_what_was_trained_beside_the_choice_by_hand(path):
    with (BENCHMARKS / "search.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] != "does not fit"]
    runs = Study.read(path).axes["run"]
    assert len(runs) >= 2
    for run in runs:
        task, _, side = run["label"].rpartition(", ")
        tried = [row for row in rows if row["task"] == task]
        if side == "by hand":
            tried = [row for row in tried if row["choice"] == row["update"]]
        best = max(tried, key=lambda row: (int(row["epochs"]), float(row["validation"])))
        assert (run["update"], run["lr"]) == (best["update"], float(best["lr"])), run["label"]
