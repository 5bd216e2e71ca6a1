"""The float32 head: DEQUANTIZE, and FULLY_CONNECTED in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Op
from mcusim.kernels.arrays import Array, Tensors, constant
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.prepared import (
    ForwardKernel,
    address_of,
    array_at,
    check,
    check_shape,
    record_at,
)
from mcusim.kernels.scales import quant_of, scale_of
from mcusim.kernels.vector import simd

INTEGERS = ("x", "y", "weight", "bias", "count", "outputs", "rows", "z_x", "clamps")
RECORD = np.dtype(
    [(n, np.int64) for n in INTEGERS] + [(n, np.float32) for n in ("scale", "low", "high", "_")]
)


@compiled
def dequantise(address):  # type: ignore[no-untyped-def]
    """Write y = (x - z_x) * scale."""
    r = record_at(address, RECORD)
    z, scale = simd.splat_i32(np.int32(r.z_x)), simd.splat_f32(r.scale)
    for i in range(0, r.count, 16):
        few = min(r.count - i, 16)
        simd.store_f32_first(r.y + 4 * i, simd.to_f32(simd.load_s8_first(r.x + i, few) - z) * scale, few)


@compiled
def fully_connect(address):  # type: ignore[no-untyped-def]
    """Sum in 16 lanes, then pairwise, then add the bias: the order of the slow twin."""
    r = record_at(address, RECORD)
    y, bias = array_at(r.y, r.rows * r.outputs, np.float32), array_at(r.bias, r.outputs, np.float32)
    for row in range(r.rows):
        for c in range(r.outputs):
            total = simd.splat_f32(np.float32(0))
            for k in range(0, r.count, 16):
                few = min(r.count - k, 16)
                x = simd.load_f32_first(r.x + 4 * (row * r.count + k), few)
                total = total + x * simd.load_f32_first(r.weight + 4 * (c * r.count + k), few)
            value = simd.tree_sum(total)
            if r.bias != 0:
                value = value + bias[c]
            if r.clamps:
                value = min(max(value, r.low), r.high)
            y[row * r.outputs + c] = value


class Dequantize(ForwardKernel):
    """DEQUANTIZE from int8; see ``forward.forward``."""

    def __init__(self, op: Op, tensors: Tensors) -> None:
        super().__init__()
        self.name = f"op {op.name!r}"
        self._constants = np.zeros(1, RECORD)
        x = tensors[op.inputs[0]]
        self._constants[0]["z_x"], self._constants[0]["scale"] = quant_of(x).zero_point, scale_of(x)

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        y, _, x = buffers
        record = self._constants.copy()
        check(f"input of {self.name}", x, "int8")
        check(f"output of {self.name}", y, "float32")
        check_shape(f"output of {self.name}", y, x.shape)
        record[0]["x"], record[0]["y"], record[0]["count"] = address_of(x), address_of(y), x.size
        return dequantise, record


class FloatFullyConnected(ForwardKernel):
    """FULLY_CONNECTED in float32; see ``forward.forward``."""

    def __init__(self, op: Op, tensors: Tensors, frozen: bool) -> None:
        super().__init__()
        self.name = f"op {op.name!r}"
        self.shape = tensors[op.inputs[1]].shape
        self._parameters: tuple[Array, ...] = ()
        if frozen:
            self._parameters = tuple(constant(op, tensors, i) for i in range(1, len(op.inputs)))
        self._constants = np.zeros(1, RECORD)
        r = self._constants[0]
        r["outputs"], r["count"] = self.shape
        if op.attributes.clamp is not None:
            r["clamps"], (r["low"], r["high"]) = True, op.attributes.clamp

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        y, _, x, *parameters = buffers
        weight, *bias = parameters or self._parameters
        record = self._constants.copy()
        r = record[0]
        for what, array in (("input", x), ("output", y), ("weight", weight), *(("bias", b) for b in bias)):
            if array is not None:
                check(f"{what} of {self.name}", array, "float32")
        rows = x.size // int(r["count"])
        check_shape(f"weight of {self.name}", weight, self.shape)
        check_shape(f"input of {self.name}", x.reshape(-1), (rows * self.shape[1],))
        check_shape(f"output of {self.name}", y.reshape(-1), (rows * self.shape[0],))
        r["x"], r["y"], r["weight"], r["rows"] = address_of(x), address_of(y), address_of(weight), rows
        if bias and bias[0] is not None:
            check_shape(f"bias of {self.name}", bias[0].reshape(-1), self.shape[:1])
            r["bias"] = address_of(bias[0])
        return fully_connect, record
