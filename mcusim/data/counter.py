"""Random numbers as a pure function of integers: no generator state, equal on every machine.

The mixing function is SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014), applied to a chain of keys.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


def bits(*keys: ArrayLike) -> NDArray[np.uint64]:
    """Return 64 random bits for every element of the broadcast integer ``keys``."""
    state = np.zeros(1, np.uint64)
    with np.errstate(over="ignore"):
        for key in keys:
            word = np.atleast_1d(np.asarray(key)).astype(np.int64).view(np.uint64)
            state = _mix((state ^ word) + _GOLDEN)
    return state


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * _MIX1
    z = (z ^ (z >> np.uint64(27))) * _MIX2
    return z ^ (z >> np.uint64(31))


def uniform(*keys: ArrayLike) -> NDArray[np.float32]:
    """Return float32 in [0, 1) with 24 random bits each."""
    return (bits(*keys) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


def below(limit: int, *keys: ArrayLike) -> NDArray[np.int64]:
    """Return integers in [0, limit), ``limit`` at most 2**31 (bias below 2**-33)."""
    high = bits(*keys) >> np.uint64(32)
    return ((high * np.uint64(limit)) >> np.uint64(32)).astype(np.int64)


def permutation(length: int, *keys: int) -> NDArray[np.int64]:
    """Return a random order of ``range(length)``: the stable argsort of one draw an element."""
    drawn = bits(*keys, np.arange(length))
    return np.argsort(drawn, kind="stable") if length else np.zeros(0, np.int64)
