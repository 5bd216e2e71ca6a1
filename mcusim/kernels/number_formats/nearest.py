"""Integers, rounded to the nearest after every step: steps below half a unit are lost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcusim.kernels.arrays import Array
from mcusim.kernels.number_formats.base import CompiledRule, ParameterFormat
from mcusim.kernels.number_formats.rounding import BIAS_LOW, BIAS_TOP, WEIGHT_TOP, clamp


class Int8(ParameterFormat):
    """w <- clamp(rint(w - step)), in float32."""

    name = "int8"
    dtype = "int8"
    extra = None
    c_rule = "mcusim_weight_nearest"

    def step(
        self, value: Array, extra: Array | None, step: Array, draw: Callable[[], Array]
    ) -> tuple[Array, Array | None]:
        """Return new weights."""
        moved = np.rint(value.astype(np.float32) - step)
        return clamp(moved, -WEIGHT_TOP, WEIGHT_TOP).astype(np.int8), None

    def compiled(self) -> CompiledRule:
        """Return the compiled twin of ``step``."""
        from mcusim.kernels.compiled.rules import nearest

        rule: CompiledRule = nearest.int8
        return rule


class Int32(ParameterFormat):
    """b <- clamp(rint(b - step)), in float64."""

    name = "int32"
    dtype = "int32"
    extra = None
    c_rule = "mcusim_bias_nearest"

    def step(
        self, value: Array, extra: Array | None, step: Array, draw: Callable[[], Array]
    ) -> tuple[Array, Array | None]:
        """Return new biases."""
        moved = np.rint(value.astype(np.float64) - step.astype(np.float64))
        return clamp(moved, BIAS_LOW, BIAS_TOP).astype(np.int32), None

    def compiled(self) -> CompiledRule:
        """Return the compiled twin of ``step``."""
        from mcusim.kernels.compiled.rules import nearest

        rule: CompiledRule = nearest.int32
        return rule
