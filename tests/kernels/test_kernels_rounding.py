"""Stochastic rounding in 32 bits is that in float64, at its boundaries above all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit, types

from mcusim.kernels.compiled.prepared import address_of
from mcusim.kernels.compiled.rules.stochastic import rounded
from mcusim.kernels.vector.vectors import F32, I32, emitted, load, store

FAR = 1000


@emitted(types.none, types.int64, types.int64, types.int64)
def rounded_at(b, words, changes, out):
    store(b, rounded(b, load(b, words, I32), load(b, changes, F32)), out)


@njit
def run(words, changes, out, count):
    for i in range(0, 4 * count, 64):
        rounded_at(words + i, changes + i, out + i)


def agree(words: np.ndarray, changes: np.ndarray) -> None:
    """Check every pair of the two."""
    u, c = (np.ascontiguousarray(a).reshape(-1) for a in np.meshgrid(words, changes.astype(np.float32)))
    u, c = (np.resize(a, a.size + -a.size % 16) for a in (u, c))
    u = u.astype(np.uint32)
    found = np.empty(u.size, np.int32)
    run(address_of(u), address_of(c), address_of(found), u.size)
    with np.errstate(invalid="ignore"):
        exact = np.floor(u.astype(np.float64) * 2.0**-32 - c.astype(np.float64))
    exact = np.where(np.isnan(exact), -FAR, exact).clip(-FAR, FAR)
    # Further than a weight can go one is as good as another.
    np.testing.assert_array_equal(found.clip(1 - FAR, FAR - 1), exact.clip(1 - FAR, FAR - 1))


EDGES = np.array([0, 1, 2, 3, 2**22, 2**23 + 1, 2**24 - 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1], np.uint64)


def test_words_meet_changes_at_every_boundary() -> None:
    """Changes a few units in the last place around what decides: whole numbers, words, words from above."""
    near = [np.float32(k / 2.0**32) for k in range(9)]
    near += [np.float32(x) for x in (0.0, 0.5, 1.0, 2.0, 126.0, 999.0, 1000.0, 3e38, 1e-45, 1e-38, np.inf)]
    near += [np.float32((2**32 - int(w)) / 2.0**32) for w in EDGES]
    near += [np.float32(int(w) / 2.0**32) for w in EDGES]
    changes = set(near)
    with np.errstate(over="ignore", under="ignore"):
        for value in near:
            for way in (np.float32(-np.inf), np.float32(np.inf)):
                close = value
                for _ in range(5):
                    close = np.nextafter(close, way)
                    changes |= {close, -close}
    agree(EDGES, np.array([*changes, np.nan, -0.0], np.float32))
    # 1 - 2**-54 is a tie, which goes to 1.
    assert float(np.float64(1 - 2.0**-32) + np.float64(np.float32(2.0**-32 * (1 - 2.0**-22)))) == 1.0


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**-32, 2.0**-30, 1e-6, 1e-3, 0.1, 1.0, 30.0])
def test_words_meet_changes_of_every_size(scale: float) -> None:
    rng = np.random.default_rng(0)
    agree(rng.integers(0, 2**32, 160), rng.normal(0, scale, 400))
    agree(2**32 - rng.integers(1, 9, 16), rng.normal(0, scale, 400))


@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=16),
    st.lists(st.floats(width=32), min_size=1, max_size=16),
)
def test_words_meet_any_changes(words: list[int], changes: list[float]) -> None:
    agree(np.array(words, np.uint64), np.array(changes, np.float32))
