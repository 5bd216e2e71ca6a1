"""Compiled twins of the rules in ``number_formats.nearest``."""

from __future__ import annotations

import numpy as np

from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.prepared import array_at
from mcusim.kernels.compiled.rules.loops import clamp, over_bias, over_weight


@inner
def _int8(a, at, element, step, key):  # type: ignore[no-untyped-def]
    weight = array_at(a.value, a.elements, np.int8)
    weight[at] = np.int8(clamp(np.rint(np.float32(weight[at]) - step), np.float32(-127), np.float32(127)))


@inner
def _int32(a, at, element, step, key):  # type: ignore[no-untyped-def]
    bias = array_at(a.value, a.elements, np.int32)
    moved = np.rint(np.float64(bias[at]) - np.float64(step))
    bias[at] = np.int32(clamp(moved, -2147483648.0, 2147483647.0))


@compiled
def int8(address, rate, momentum, seed, counter):  # type: ignore[no-untyped-def]
    """Learn ``int8`` weights."""
    return over_weight(address, rate, momentum, seed, counter, _int8)


@compiled
def int32(address, rate, momentum, seed, counter):  # type: ignore[no-untyped-def]
    """Learn ``int32`` biases."""
    return over_bias(address, rate, momentum, seed, counter, _int32)
