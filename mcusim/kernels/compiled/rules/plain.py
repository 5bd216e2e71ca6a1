"""Compiled twins of the rules in ``number_formats.plain``."""

from __future__ import annotations

import numpy as np

from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.prepared import array_at
from mcusim.kernels.compiled.rules.loops import over_bias, over_weight


@inner
def _step(a, at, element, step, key):  # type: ignore[no-untyped-def]
    array_at(a.value, a.elements, np.float32)[at] -= step


@compiled
def weight(address, rate, momentum, seed, counter):  # type: ignore[no-untyped-def]
    """Learn weights of a float network."""
    return over_weight(address, rate, momentum, seed, counter, _step)


@compiled
def bias(address, rate, momentum, seed, counter):  # type: ignore[no-untyped-def]
    """Learn biases of a float network."""
    return over_bias(address, rate, momentum, seed, counter, _step)
