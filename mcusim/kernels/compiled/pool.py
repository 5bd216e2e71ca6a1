"""MEAN over neighbouring dimensions, AVERAGE_POOL_2D and MAX_POOL_2D."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Op, OpKind
from mcusim.kernels.arrays import Tensors
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.prepared import (
    ForwardKernel,
    Workspace,
    address_of,
    aligned,
    array_at,
    check,
    check_mask,
    check_shape,
    record_at,
)
from mcusim.kernels.compiled.requant import FLOAT, TFLITE, TINYENGINE, store_bits
from mcusim.kernels.compiled.weighted import MODES
from mcusim.kernels.reference.pool import mean_multiplier
from mcusim.kernels.scales import clamp_of, quant_of, scale_of
from mcusim.kernels.vector import simd

INTEGERS = (
    "x", "y", "mask", "workspace", "what", "mode", "same", "unsigned", "low", "high", "z_x", "z_y",
    "multiplier", "shift", "n", "h", "w", "c", "oh", "ow", "kh", "kw", "stride_h", "stride_w", "top", "left",
)  # fmt: skip
RECORD = np.dtype([(name, np.int64) for name in INTEGERS] + [("ratio", np.float32), ("_", np.float32)])
MEAN, AVERAGE, MAXIMUM = range(3)


@inner
def half_away(total, count):  # type: ignore[no-untyped-def]
    """Divide, rounding half away from zero."""
    half = count // 2
    return -((half - total) // count) if total < 0 else (total + half) // count


@inner
def _finish(r, total, count):  # type: ignore[no-untyped-def]
    """Return the output before the clamp; see the slow twin."""
    if r.what == MAXIMUM:
        return total
    if r.what == AVERAGE or r.same:
        if r.mode == FLOAT:
            return np.int64(np.rint(np.float32(total) / np.float32(count)))
        if r.what == AVERAGE and r.unsigned:
            return (total + 128 * count + count // 2) // count - 128
        if r.what == AVERAGE or r.mode == TINYENGINE:
            return half_away(total, count)
    if r.mode == TFLITE:
        left, right = max(r.shift, 0), max(-r.shift, 0)
        high = (np.int64(np.int32((total - r.z_x * count) << left)) * r.multiplier + (1 << 30)) >> 31
        rest = (1 << right) - 1
        return (high >> right) + ((high & rest) > (rest >> 1) + (high < 0)) + r.z_y
    real = np.float32(total - r.z_x * count) / np.float32(count) * r.ratio
    return np.int64(np.rint(real)) + r.z_y


@compiled
def pool(address):  # type: ignore[no-untyped-def]
    """Run the op that the record at ``address`` describes, one window of all channels after the other."""
    r = record_at(address, RECORD)
    sums_at = simd.int64_at(r.workspace)
    sums = array_at(sums_at, r.c, np.int32)
    y = array_at(r.y, r.n * r.oh * r.ow * r.c, np.int8)
    for pixel in range(r.n * r.oh * r.ow):
        line = pixel // r.ow
        top, left = (line % r.oh) * r.stride_h - r.top, (pixel % r.ow) * r.stride_w - r.left
        first, last = max(top, 0), min(top + r.kh, r.h)
        start, stop = max(left, 0), min(left + r.kw, r.w)
        image = r.x + (line // r.oh) * r.h * r.w * r.c
        for c in range(0, r.c, 16):
            few = min(r.c - c, 16)
            total = simd.splat_i32(np.int32(-128 if r.what == MAXIMUM else 0))
            for i in range(first, last):
                for j in range(start, stop):
                    at = image + (i * r.w + j) * r.c + c
                    value = simd.load_s8(at) if few == 16 else simd.load_s8_first(at, few)
                    total = simd.larger_i32(total, value) if r.what == MAXIMUM else total + value
            simd.store_i32(sums_at + 4 * c, total)
        count = (last - first) * (stop - start)
        for c in range(r.c):
            value = _finish(r, np.int64(sums[c]), count)
            y[pixel * r.c + c] = np.int8(min(max(value, r.low), r.high))
            if r.mask != 0:
                store_bits(r.mask, pixel * r.c + c, np.int64(r.low <= value <= r.high), 1)


class Pool(ForwardKernel):
    """MEAN over neighbouring dimensions, AVERAGE_POOL_2D or MAX_POOL_2D; see ``forward.forward``."""

    def __init__(self, op: Op, tensors: Tensors, arithmetic: Arithmetic) -> None:
        super().__init__()
        self.op, self.workspace = op, Workspace()
        x, y, a = tensors[op.inputs[0]], tensors[op.output], op.attributes
        self._constants = np.zeros(1, RECORD)
        r = self._constants[0]
        r["what"] = {OpKind.MEAN: MEAN, OpKind.AVERAGE_POOL_2D: AVERAGE, OpKind.MAX_POOL_2D: MAXIMUM}[op.kind]
        r["mode"], r["same"] = MODES[arithmetic], quant_of(x).same_as(quant_of(y))
        r["unsigned"] = a.unsigned
        r["low"], r["high"] = clamp_of(op)
        r["z_x"], r["z_y"] = quant_of(x).zero_point, quant_of(y).zero_point
        r["ratio"] = scale_of(x) / scale_of(y)
        self._ratio = scale_of(x) / scale_of(y)
        if op.kind is not OpKind.MEAN:
            r["kh"], r["kw"] = a.kernel
            r["stride_h"], r["stride_w"] = a.stride
            r["top"], r["left"] = a.padding[0][0], a.padding[1][0]
        r["workspace"] = address_of(self.workspace.cell)

    @staticmethod
    def can(op: Op, tensors: Tensors) -> bool:
        """True for poolings, and for means over dimensions that lie beside each other."""
        if op.kind is not OpKind.MEAN:
            return True
        axes = _axes(op, len(tensors[op.inputs[0]].shape))
        return bool(axes) and axes == list(range(axes[0], axes[-1] + 1))

    @staticmethod
    def of_image(op: Op, tensors: Tensors) -> bool:
        """True for means over exactly height and width of an image."""
        rank = len(tensors[op.inputs[0]].shape)
        return rank == 4 and _axes(op, rank) == [1, 2]

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        y, mask, x = buffers
        name, record = f"op {self.op.name!r}", self._constants.copy()
        r = record[0]
        check(f"input of {name}", x, "int8")
        check(f"output of {name}", y, "int8")
        if r["what"] == MEAN:
            axes = _axes(self.op, x.ndim)
            spans = (
                prod(x.shape[: axes[0]]),
                prod(x.shape[axes[0] : axes[-1] + 1]),
                prod(x.shape[axes[-1] + 1 :]),
            )
            (r["n"], r["h"], r["c"]), r["w"], r["kh"] = spans, 1, spans[1]
            r["kw"] = r["oh"] = r["ow"] = 1
            r["multiplier"], r["shift"] = mean_multiplier(self._ratio, spans[1])
        else:
            r["n"], r["h"], r["w"], r["c"] = x.shape
            a = self.op.attributes
            r["oh"], r["ow"] = (
                (x.shape[1 + i] + sum(a.padding[i]) - a.kernel[i]) // a.stride[i] + 1 for i in range(2)
            )
        check_shape(f"output of {name}", y.reshape(-1), (int(r["n"] * r["oh"] * r["ow"] * r["c"]),))
        if mask is not None:
            check_mask(name, mask, y)
        r["x"], r["y"], r["mask"] = address_of(x), address_of(y), address_of(mask)
        self.workspace.reserve(aligned(4 * int(r["c"])))
        return pool, record


def _axes(op: Op, rank: int) -> list[int]:
    """Return the dimensions that a MEAN reduces, ascending."""
    return sorted({axis % rank for axis in op.attributes.axes})
