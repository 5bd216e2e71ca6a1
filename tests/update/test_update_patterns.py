"""Patterns keep the same number of pixels at every phase, and every pixel equally often."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import UnknownName
from mcusim.update import Formats
from mcusim.update.patterns import PATTERNS

NAMES = st.sampled_from(list(PATTERNS))
SIDES = st.integers(1, 12)


@given(NAMES, SIDES, SIDES)
def test_every_pixel_is_kept_equally_often(name, height, width):
    pattern = PATTERNS[name]
    phases, pixels, kept = pattern.phases(height, width), height * width, pattern.kept(height, width)
    counts = np.zeros(pixels, int)
    for phase in range(phases):
        positions = pattern.positions(height, width, phase)
        assert positions.dtype == np.int32
        assert (np.diff(positions) > 0).all()
        assert len(positions) == kept
        counts[positions] += 1
    assert (counts * pixels == phases * kept).all()


@given(NAMES, SIDES, SIDES, st.integers(1, 9), st.integers(0, 10**6))
def test_the_phases_of_every_nth_iteration_are_spread_evenly(name, height, width, every, first):
    pattern = PATTERNS[name]
    phases = pattern.phases(height, width)
    met = [pattern.phase(height, width, first + every * i) for i in range(40 * phases)]
    counts = np.bincount(met, minlength=phases)
    assert len(counts) == phases
    assert counts.min() >= 25
    assert counts.max() <= 55


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("whole", ["####", "####", "####", "####"]),
        ("checker", ["#.#.", ".#.#", "#.#.", ".#.#"]),
        ("row-2", ["####", "....", "####", "...."]),
        ("row-3", ["####", "....", "....", "####"]),
        ("grid-2", ["#.#.", "....", "#.#.", "...."]),
        ("grid-4", ["#...", "....", "....", "...."]),
    ],
)
def test_patterns_look_as_they_are_called(name, rows):
    kept = np.zeros(16, bool)
    kept[PATTERNS[name].positions(4, 4, 0)] = True
    assert ["".join(".#"[int(k)] for k in row) for row in kept.reshape(4, 4)] == rows


def test_positions_are_shared_and_cannot_be_changed():
    positions = PATTERNS["checker"].positions(4, 4, 1)
    assert positions is PATTERNS["checker"].positions(4, 4, 1)
    with pytest.raises(ValueError, match="read-only"):
        positions[0] = 3


def test_unknown_patterns_suggest_the_nearest():
    with pytest.raises(UnknownName, match=r"feature format 'chequer': is not known .*checker"):
        Formats(feature="chequer")
    with pytest.raises(UnknownName, match="grid-4"):
        Formats(feature="grid-5")


def test_whole_features_leave_no_trace_in_records():
    assert "feature" not in Formats().as_dict()
    for formats in (Formats(), Formats(error="int8", feature="row-2")):
        assert Formats(**formats.as_dict()) == formats
