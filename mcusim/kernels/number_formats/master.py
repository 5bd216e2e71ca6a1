"""Integers with a float32 master weight beside each, from which they are rounded after every step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcusim.core import Kind
from mcusim.kernels.arrays import Array
from mcusim.kernels.number_formats.base import CompiledRule, Extra, ParameterFormat
from mcusim.kernels.number_formats.rounding import WEIGHT_TOP, clamp


class Master(Extra):
    """A float32 master weight, in units of the integer; the integer itself before the first step."""

    kind = Kind.MASTER
    dtype = "float32"

    def start(self, value: Array) -> Array:
        """Return the values in float32."""
        return value.astype(np.float32)


class Int8Master(ParameterFormat):
    """m <- m - step, w <- clamp(rint(m)), in float32."""

    name = "float32"
    dtype = "int8"
    extra = Master()
    c_rule = "mcusim_weight_master"

    def step(
        self, value: Array, extra: Array | None, step: Array, draw: Callable[[], Array]
    ) -> tuple[Array, Array | None]:
        """Return new weights and master weights."""
        assert extra is not None
        master = extra - step
        return clamp(np.rint(master), -WEIGHT_TOP, WEIGHT_TOP).astype(np.int8), master

    def compiled(self) -> CompiledRule:
        """Return the compiled twin of ``step``."""
        from mcusim.kernels.compiled.rules import master

        rule: CompiledRule = master.int8
        return rule
