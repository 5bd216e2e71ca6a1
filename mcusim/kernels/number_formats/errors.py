"""Formats of error tensors: float32, and integers with one power-of-two scale a tensor.

A stored e means e * scale. Integer formats are storage only: values are worked on in float32 and rounded
half to even, saturating symmetrically, when they are stored.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mcusim.kernels.arrays import Array, StoreResult
from mcusim.kernels.number_formats.base import ErrorFormat
from mcusim.kernels.number_formats.rounding import clamp


class Float32Error(ErrorFormat):
    """Gradients as they are."""

    name = dtype = "float32"
    limit = None

    def store(self, values: Array, g: Array, scale: float, accumulate: bool) -> StoreResult:
        """Store or add."""
        g[...] = g + values if accumulate else values
        return StoreResult(0, 0.0)

    def compiled(self) -> int:
        """Return what the compiled kernels call it."""
        from mcusim.kernels.compiled.errors import FLOAT32

        return FLOAT32


class _Integer(ErrorFormat):
    limit: ClassVar[float]

    def store(self, values: Array, g: Array, scale: float, accumulate: bool) -> StoreResult:
        if accumulate:
            values = g.astype(np.float32) * np.float32(scale) + values
        rounded = np.rint(values * np.float32(1 / scale))
        saturated = int(np.count_nonzero(np.abs(rounded) > np.float32(self.limit)))
        g[...] = clamp(rounded, -self.limit, self.limit).astype(g.dtype)
        return StoreResult(saturated, float(np.abs(values).max(initial=0)))


class Int16Error(_Integer):
    """Two bytes: ±32767 units."""

    name = dtype = "int16"
    limit = 32767.0

    def compiled(self) -> int:
        """Return what the compiled kernels call it."""
        from mcusim.kernels.compiled.errors import INT16

        return INT16


class Int8Error(_Integer):
    """One byte: ±127 units."""

    name = dtype = "int8"
    limit = 127.0

    def compiled(self) -> int:
        """Return what the compiled kernels call it."""
        from mcusim.kernels.compiled.errors import INT8

        return INT8
