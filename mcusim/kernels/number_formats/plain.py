"""Parameters of a float network: a step is subtracted, whatever format was chosen for integer ones."""

from __future__ import annotations

from collections.abc import Callable

from mcusim.kernels.arrays import Array
from mcusim.kernels.number_formats.base import CompiledRule, ParameterFormat


class _Plain(ParameterFormat):
    name = "float"
    dtype = "float32"
    extra = None

    def step(
        self, value: Array, extra: Array | None, step: Array, draw: Callable[[], Array]
    ) -> tuple[Array, Array | None]:
        return value - step, None


class PlainWeight(_Plain):
    """w <- w - step, in float32."""

    c_rule = "mcusim_weight_plain"

    def compiled(self) -> CompiledRule:
        """Return the compiled twin of ``step``."""
        from mcusim.kernels.compiled.rules import plain

        rule: CompiledRule = plain.weight
        return rule


class PlainBias(_Plain):
    """b <- b - step, in float32."""

    c_rule = "mcusim_bias_plain"

    def compiled(self) -> CompiledRule:
        """Return the compiled twin of ``step``."""
        from mcusim.kernels.compiled.rules import plain

        rule: CompiledRule = plain.bias
        return rule
