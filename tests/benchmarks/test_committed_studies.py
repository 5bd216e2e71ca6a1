"""The studies under ``benchmarks/studies``: each is one, and its result has every point of it."""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path

import pytest

from mcusim.studies.axes import Space
from mcusim.studies.study import Study

STUDIES = sorted((Path(__file__).parents[2] / "benchmarks" / "studies").glob("*.toml"))


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
