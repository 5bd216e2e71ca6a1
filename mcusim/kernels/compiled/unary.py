"""Ops on single elements: a table of 256 results for int8, vectors for QUANTIZE from float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Op
from mcusim.kernels.arrays import Tensors
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.prepared import (
    ForwardKernel,
    address_of,
    array_at,
    check,
    check_mask,
    check_shape,
    record_at,
)
from mcusim.kernels.compiled.requant import FLOAT, store_bits
from mcusim.kernels.compiled.weighted import MODES
from mcusim.kernels.reference.unary import bounds, values
from mcusim.kernels.scales import clamp_of, quant_of, scale_of
from mcusim.kernels.vector import simd

INTEGERS = ("x", "y", "mask", "count", "table", "inside", "mode", "zero", "low", "high")
RECORD = np.dtype([(n, np.int64) for n in INTEGERS] + [("scale", np.float32), ("_", np.float32)])


@compiled
def look_up(address):  # type: ignore[no-untyped-def]
    """Map every int8 through a table."""
    r = record_at(address, RECORD)
    x, y = array_at(r.x, r.count, np.uint8), array_at(r.y, r.count, np.int8)
    table, inside = array_at(r.table, 256, np.int8), array_at(r.inside, 256, np.uint8)
    if r.mask != 0:
        for first in range(0, r.count, 8):
            bits = np.int64(0)
            for i in range(min(r.count - first, 8)):
                bits |= np.int64(inside[x[first + i]]) << i
            simd.store_byte(r.mask + first // 8, bits)
    for i in range(r.count):
        y[i] = table[x[i]]


@compiled
def quantise(address):  # type: ignore[no-untyped-def]
    """Write round(x / scale) + zero, clamped; see the slow twin."""
    r = record_at(address, RECORD)
    scale, zero = simd.splat_f32(r.scale), simd.splat_i32(np.int32(r.zero))
    low, high = simd.splat_f32(np.float32(r.low - r.zero)), simd.splat_f32(np.float32(r.high - r.zero))
    for i in range(0, r.count, 16):
        few = min(r.count - i, 16)
        real = simd.load_f32_first(r.x + 4 * i, few) / scale
        real = simd.rint(real) if r.mode == FLOAT else simd.half_away(real)
        if r.mask != 0:
            store_bits(r.mask, i, simd.inside_f32(real, low, high), few)
        simd.store_s8_first(r.y + i, simd.to_i32(simd.clamp_f32(real, low, high)) + zero, few)


class Unary(ForwardKernel):
    """RELU, RELU6, HARD_SWISH, LOGISTIC and QUANTIZE; see ``forward.forward``. May work in place."""

    def __init__(self, op: Op, tensors: Tensors, arithmetic: Arithmetic) -> None:
        super().__init__()
        self.name, self.dtype = f"op {op.name!r}", tensors[op.inputs[0]].dtype
        self._constants = np.zeros(1, RECORD)
        r = self._constants[0]
        if self.dtype == "float32":
            y = tensors[op.output]
            r["mode"], r["zero"], r["scale"] = MODES[arithmetic], quant_of(y).zero_point, scale_of(y)
            r["low"], r["high"] = clamp_of(op)
            return
        stored = np.arange(256).astype(np.uint8).view(np.int8).astype(np.int64)
        pre, (low, high) = values(op, tensors, arithmetic)(stored), bounds(op, tensors)
        self._table = np.clip(pre, low, high).astype(np.int8)
        self._inside = ((pre >= low) & (pre <= high)).astype(np.uint8)
        r["table"], r["inside"] = address_of(self._table), address_of(self._inside)

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        y, mask, x = buffers
        record = self._constants.copy()
        check(f"input of {self.name}", x, self.dtype)
        check(f"output of {self.name}", y, "int8")
        check_shape(f"output of {self.name}", y, x.shape)
        if mask is not None:
            check_mask(self.name, mask, y)
        r = record[0]
        r["x"], r["y"], r["mask"], r["count"] = address_of(x), address_of(y), address_of(mask), x.size
        return (quantise if self.dtype == "float32" else look_up), record
