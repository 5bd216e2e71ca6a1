"""Compiled twins of the rules in ``number_formats.master``."""

from __future__ import annotations

import numpy as np

from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.prepared import array_at
from mcusim.kernels.compiled.rules.loops import clamp, over_weight


@inner
def _int8(a, at, element, step, key):  # type: ignore[no-untyped-def]
    weight, master = array_at(a.value, a.elements, np.int8), array_at(a.extra, a.elements, np.float32)
    master[at] -= step
    weight[at] = np.int8(clamp(np.rint(master[at]), np.float32(-127), np.float32(127)))


@compiled
def int8(address, rate, momentum, seed, counter):  # type: ignore[no-untyped-def]
    """Learn ``float32`` weights: int8 with a float32 master."""
    return over_weight(address, rate, momentum, seed, counter, _int8)
