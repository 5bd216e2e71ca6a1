"""Integers with a residual beside each: what rounding left of it, in 1/256 of its unit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcusim.core import Kind
from mcusim.kernels.arrays import Array
from mcusim.kernels.number_formats.base import CompiledRule, Extra, ParameterFormat
from mcusim.kernels.number_formats.rounding import BIAS_LOW, BIAS_TOP, WEIGHT_TOP, clamp, split


class Residual8(Extra):
    """An int8 residual; 0 before the first step."""

    kind = Kind.RESIDUAL
    dtype = "int8"

    def start(self, value: Array) -> Array:
        """Return zeros."""
        return np.zeros(value.shape, np.int8)


class Int8Residual(ParameterFormat):
    """(256 w + r) <- rint((256 w + r) - 256 step), r in [-128, 127], in float32."""

    name = "int8+res8"
    dtype = "int8"
    extra = Residual8()
    c_rule = "mcusim_weight_residual"

    def step(
        self, value: Array, extra: Array | None, step: Array, draw: Callable[[], Array]
    ) -> tuple[Array, Array | None]:
        """Return new weights and residuals."""
        assert extra is not None
        fixed = (value.astype(np.int32) * 256 + extra).astype(np.float32) - step * np.float32(256)
        high, low = split(clamp(np.rint(fixed), -WEIGHT_TOP * 256 - 128, WEIGHT_TOP * 256 + 127))
        return high.astype(np.int8), low

    def compiled(self) -> CompiledRule:
        """Return the compiled twin of ``step``."""
        from mcusim.kernels.compiled.rules import residual

        rule: CompiledRule = residual.int8
        return rule


class Int32Residual(ParameterFormat):
    """(256 b + r) <- rint((256 b + r) - 256 step), r in [-128, 127], in float64."""

    name = "int32+res8"
    dtype = "int32"
    extra = Residual8()
    c_rule = "mcusim_bias_residual"

    def step(
        self, value: Array, extra: Array | None, step: Array, draw: Callable[[], Array]
    ) -> tuple[Array, Array | None]:
        """Return new biases and residuals."""
        assert extra is not None
        fixed = np.rint(value.astype(np.float64) * 256 + extra - step.astype(np.float64) * 256)
        high, low = split(clamp(fixed, BIAS_LOW * 256 - 128, BIAS_TOP * 256 + 127))
        return high.astype(np.int32), low

    def compiled(self) -> CompiledRule:
        """Return the compiled twin of ``step``."""
        from mcusim.kernels.compiled.rules import residual

        rule: CompiledRule = residual.int32
        return rule
