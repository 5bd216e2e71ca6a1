"""Bands are true: measured rows, their family of networks left out, lie in them as often as is said."""

from __future__ import annotations

import csv
from collections import defaultdict
from math import comb
from pathlib import Path

import pytest

from mcusim.mcu import profile_names
from mcusim.mcu.cycles.profile import profile

CALIBRATION = Path(__file__).parents[2] / "benchmarks" / "calibration"
LEAST, MOST = 0.85, 0.97
"""Share of rows in their 90 % bands. Two rows more than 95 % of 218 are no reason to narrow a band."""
NEWER = {"cubeai-9.": "X-CUBE-AI 9.0 to 10.2", "cubeai-10.": "X-CUBE-AI 9.0 to 10.2", "plumerai-2": "2023.05"}


def rows() -> list[dict[str, str]]:
    with (CALIBRATION / "rows.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["inside"]]


def test_rows_left_out_lie_in_their_bands():
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for row in rows():
        inside = int(row["inside"])
        groups["all"].append(inside)
        groups[profile(row["profile"]).library].append(inside)
        for key, name in NEWER.items():
            groups[name] += [inside] * (key in row["profile"])
    for name, inside in groups.items():
        assert sum(inside) / len(inside) >= LEAST, name
    assert sum(groups["all"]) / len(groups["all"]) <= MOST
    assert [len(groups[name]) for name in dict.fromkeys(NEWER.values())] == [30, 20]


def test_every_shipped_profile_covers_what_a_true_band_would():
    """A band of 85 % would hold so few of so many rows less than once in fifty: then it is not true."""
    by_profile: defaultdict[str, list[int]] = defaultdict(list)
    for row in rows():
        by_profile[row["profile"]].append(int(row["inside"]))
    measured = {name for name in profile_names() if profile(name).calibrated}
    assert set(by_profile) == measured
    for name, inside in by_profile.items():
        n, k = len(inside), sum(inside)
        chance = sum(comb(n, i) * LEAST**i * (1 - LEAST) ** (n - i) for i in range(k + 1))
        assert chance > 0.02, f"{name}: {k} of {n}"
        assert profile(name).fitted.coverage == pytest.approx(k / n, abs=1e-3)
        assert profile(name).fitted.rows == n
