"""Compiled twins of the rules in ``number_formats.residual``."""

from __future__ import annotations

import numpy as np

from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.prepared import array_at
from mcusim.kernels.compiled.rules.loops import clamp, over_bias, over_weight, split

HALF_TOP = 127 * 256
WIDE_LOW, WIDE_TOP = -(2.0**31) * 256 - 128, (2.0**31 - 1) * 256 + 127


@inner
def _int8(a, at, element, step, key):  # type: ignore[no-untyped-def]
    weight, residual = array_at(a.value, a.elements, np.int8), array_at(a.extra, a.elements, np.int8)
    fixed = np.float32(np.int32(weight[at]) * 256 + np.int32(residual[at])) - step * np.float32(256)
    value = np.int32(clamp(np.rint(fixed), np.float32(-HALF_TOP - 128), np.float32(HALF_TOP + 127)))
    high, low = split(value)
    weight[at], residual[at] = np.int8(high), np.int8(low)


@inner
def _int32(a, at, element, step, key):  # type: ignore[no-untyped-def]
    bias, residual = array_at(a.value, a.elements, np.int32), array_at(a.extra, a.elements, np.int8)
    fixed = np.float64(bias[at]) * 256 + np.float64(residual[at]) - np.float64(step) * 256
    high, low = split(np.int64(clamp(np.rint(fixed), WIDE_LOW, WIDE_TOP)))
    bias[at], residual[at] = np.int32(high), np.int8(low)


@compiled
def int8(address, rate, momentum, seed, counter):  # type: ignore[no-untyped-def]
    """Learn ``int8+res8`` weights."""
    return over_weight(address, rate, momentum, seed, counter, _int8)


@compiled
def int32(address, rate, momentum, seed, counter):  # type: ignore[no-untyped-def]
    """Learn ``int32+res8`` biases."""
    return over_bias(address, rate, momentum, seed, counter, _int32)
