"""What the slow rules round with; the compiled rules have twins of these in ``compiled.rules.loops``."""

from __future__ import annotations

import numpy as np

from mcusim.kernels.arrays import Array

WEIGHT_TOP = 127
"""Integer weights stay in [-127, 127]: symmetric, as TFLite wants them."""
BIAS_LOW, BIAS_TOP = -(2**31), 2**31 - 1
GOLDEN = 0x9E3779B97F4A7C15
WORD = (1 << 64) - 1


def mix(z: int) -> int:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014): a bijection that spreads every bit."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


def key_of(seed: int, counter: int) -> int:
    """Return the 64-bit key under which the elements of one update draw their numbers."""
    return mix((mix(seed & WORD) + GOLDEN * (counter + 1)) & WORD)


def uniform(key: int, index: Array) -> Array:
    """Return u in [0, 1) with 32 bits for every element index: no generator has any state."""
    words = [mix((key + GOLDEN * (int(i) + 1)) & WORD) >> 32 for i in index.reshape(-1)]
    return (np.array(words, np.float64) * 2.0**-32).reshape(index.shape)


def clamp(v: Array, low: float, high: float) -> Array:
    """Clamp; NaN becomes ``low``, so that a diverged run stays the same on every machine."""
    return np.where(v >= low, np.minimum(v, high), low)


def split(fixed: Array) -> tuple[Array, Array]:
    """Return whole numbers of 1/256 as nearest integers, int64, and int8 residuals in [-128, 127]."""
    value = fixed.astype(np.int64)
    high = (value + 128) >> 8
    return high, (value - (high << 8)).astype(np.int8)
