"""Integers, rounded up or down by chance, so that the mean of many small steps is right without another byte.

The chance u is a hash of (seed, counter, element index): the same element draws the same number whether the
whole weight or only its selected channels are in SRAM.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcusim.kernels.arrays import Array
from mcusim.kernels.number_formats.base import CompiledRule, ParameterFormat
from mcusim.kernels.number_formats.rounding import BIAS_LOW, BIAS_TOP, WEIGHT_TOP, clamp


class Int8Stochastic(ParameterFormat):
    """w <- clamp(w + floor(u - step)), u uniform in [0, 1), in float64."""

    name = "int8-sr"
    dtype = "int8"
    extra = None
    c_rule = "mcusim_weight_stochastic"

    def step(
        self, value: Array, extra: Array | None, step: Array, draw: Callable[[], Array]
    ) -> tuple[Array, Array | None]:
        """Return new weights."""
        moved = value.astype(np.float64) + np.floor(draw() - step.astype(np.float64))
        return clamp(moved, -WEIGHT_TOP, WEIGHT_TOP).astype(np.int8), None

    def compiled(self) -> CompiledRule:
        """Return the compiled twin of ``step``."""
        from mcusim.kernels.compiled.rules import stochastic

        rule: CompiledRule = stochastic.int8
        return rule


class Int32Stochastic(ParameterFormat):
    """b <- clamp(b + floor(u - step)), u uniform in [0, 1), in float64."""

    name = "int32-sr"
    dtype = "int32"
    extra = None
    c_rule = "mcusim_bias_stochastic"

    def step(
        self, value: Array, extra: Array | None, step: Array, draw: Callable[[], Array]
    ) -> tuple[Array, Array | None]:
        """Return new biases."""
        moved = value.astype(np.float64) + np.floor(draw() - step.astype(np.float64))
        return clamp(moved, BIAS_LOW, BIAS_TOP).astype(np.int32), None

    def compiled(self) -> CompiledRule:
        """Return the compiled twin of ``step``."""
        from mcusim.kernels.compiled.rules import stochastic

        rule: CompiledRule = stochastic.int32
        return rule
