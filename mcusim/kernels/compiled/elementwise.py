"""ADD, SUB and MUL of two int8 tensors, 16 elements at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.graph import Arithmetic, Op, OpKind
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.prepared import (
    ForwardKernel,
    address_of,
    check,
    check_mask,
    check_shape,
    record_at,
)
from mcusim.kernels.compiled.requant import FLOAT, TFLITE, store_bits
from mcusim.kernels.compiled.weighted import MODES
from mcusim.kernels.reference.elementwise import LEFT_SHIFT, multiply_factor
from mcusim.kernels.scales import clamp_of, multiplier_and_shift, quant_of, scale_of
from mcusim.kernels.vector import simd

INTEGERS = (
    "a", "b", "y", "mask", "count", "multiplies", "mode", "sign", "low", "high", "z_a", "z_b", "z_y",
    "m_a", "m_b", "m_y", "shift_a", "shift_b", "shift_y",
)  # fmt: skip
RECORD = np.dtype([(n, np.int64) for n in INTEGERS] + [(n, np.float32) for n in ("f_a", "f_b", "f_y", "_")])


@inner
def _shifts(shift):  # type: ignore[no-untyped-def]
    return simd.splat_i32(np.int32(max(shift, 0))), simd.splat_i32(np.int32(max(-shift, 0)))


@compiled
def combine(address):  # type: ignore[no-untyped-def]
    """Run the op that the record at ``address`` describes; see the slow twin for the formulas."""
    r = record_at(address, RECORD)
    z_a, z_b, z_y = (
        simd.splat_i32(np.int32(r.z_a)),
        simd.splat_i32(np.int32(r.z_b)),
        simd.splat_i32(np.int32(r.z_y)),
    )
    m_a, m_b, m_y = (
        simd.splat_i32(np.int32(r.m_a)),
        simd.splat_i32(np.int32(r.m_b)),
        simd.splat_i32(np.int32(r.m_y)),
    )
    unit = simd.splat_i32(np.int32(1 << LEFT_SHIFT))
    left_a, right_a = _shifts(r.shift_a)
    left_b, right_b = _shifts(r.shift_b)
    left_y, right_y = _shifts(r.shift_y)
    sign = simd.splat_i32(np.int32(r.sign))
    f_sign = simd.splat_f32(np.float32(r.sign))
    f_a, f_b, f_y = simd.splat_f32(r.f_a), simd.splat_f32(r.f_b), simd.splat_f32(r.f_y)
    low, high = simd.splat_i32(np.int32(r.low)), simd.splat_i32(np.int32(r.high))
    f_low, f_high = simd.splat_f32(np.float32(r.low - r.z_y)), simd.splat_f32(np.float32(r.high - r.z_y))
    f_z = simd.splat_f32(np.float32(r.z_y))
    for i in range(0, r.count, 16):
        few = min(r.count - i, 16)
        p = simd.load_s8_first(r.a + i, few) - z_a
        q = simd.load_s8_first(r.b + i, few) - z_b
        if r.mode == TFLITE:
            if r.multiplies:
                value = simd.rescale_fixed(p * q, m_y, left_y, right_y) + z_y
            else:
                p = simd.rescale_fixed(p * unit, m_a, left_a, right_a)
                q = simd.rescale_fixed(q * unit, m_b, left_b, right_b)
                value = simd.rescale_fixed(p + sign * q, m_y, left_y, right_y) + z_y
            bits = simd.inside_i32(value, low, high)
            value = simd.clamp_i32(value, low, high)
        else:
            if r.multiplies:
                real = simd.to_f32(p * q) * f_y
                real = simd.rint(real) if r.mode == FLOAT else simd.trunc(real)
            else:
                real = (simd.to_f32(p) * f_a + f_sign * (simd.to_f32(q) * f_b)) / f_y
                real = simd.rint(real) if r.mode == FLOAT else simd.half_away(real + f_z) - f_z
            bits = simd.inside_f32(real, f_low, f_high)
            value = simd.to_i32(simd.clamp_f32(real, f_low, f_high)) + z_y
        simd.store_s8_first(r.y + i, value, few)
        if r.mask != 0:
            store_bits(r.mask, i, bits, few)


class Broadcasting(ForwardKernel):
    """Base of the kernels of two operands: the smaller one is copied to the output's shape."""

    _constants: NDArray[Any]
    """The record of this op as far as it is the same for all buffers."""

    def __init__(self, op: Op) -> None:
        super().__init__()
        self.op = op
        self._copies: dict[tuple[int, tuple[int, ...]], Array] = {}

    def _buffers(self, inputs: tuple[Array, ...], output: Array) -> tuple[Array, ...]:
        """Return the inputs, with those that are broadcast copied to the output's shape."""
        if all(i.shape == output.shape for i in inputs):
            return inputs
        return tuple(
            x if x.shape == output.shape else self._broadcast(which, x, output.shape)
            for which, x in enumerate(inputs)
        )

    def _broadcast(self, which: int, x: Array, shape: tuple[int, ...]) -> Array:
        # The copy is kept, so that the kernel stays bound to it.
        copy = self._copies.get((which, shape))
        if copy is None:
            copy = self._copies[which, shape] = np.empty(shape, np.int8)
        check(f"input of op {self.op.name!r}", x, "int8")
        try:
            np.copyto(copy, x)
        except ValueError:
            name = f"input of op {self.op.name!r}"
            raise BadArgument(name, f"has shape {x.shape}, which {shape} does not extend") from None
        return copy

    def _of_two(self, *buffers: Any) -> NDArray[Any]:
        """Return the record of two inputs and an output of one shape, with the mask if one is written."""
        y, mask, a, b = buffers
        name, record = f"op {self.op.name!r}", self._constants.copy()
        check(f"output of {name}", y, "int8")
        for field, array in (("a", a), ("b", b)):
            check(f"input of {name}", array, "int8")
            check_shape(f"input of {name}", array, y.shape)
            record[0][field] = address_of(array)
        if mask is not None:
            check_mask(name, mask, y)
        record[0]["y"], record[0]["mask"], record[0]["count"] = address_of(y), address_of(mask), y.size
        return record


class BinaryRecord(Broadcasting):
    """ADD, SUB or MUL; see ``forward.forward``. The output may be one of the inputs."""

    def __init__(self, op: Op, tensors: Tensors, arithmetic: Arithmetic) -> None:
        super().__init__(op)
        s_a, s_b = (scale_of(tensors[n]) for n in op.inputs)
        s_y = scale_of(tensors[op.output])
        self._constants = np.zeros(1, RECORD)
        r = self._constants[0]
        r["mode"], r["multiplies"] = MODES[arithmetic], op.kind is OpKind.MUL
        r["sign"] = -1 if op.kind is OpKind.SUB else 1
        r["low"], r["high"] = clamp_of(op)
        for field, name in zip(("z_a", "z_b", "z_y"), (*op.inputs, op.output), strict=True):
            r[field] = quant_of(tensors[name]).zero_point
        if op.kind is OpKind.MUL:
            factor = multiply_factor(op, tensors)
            r["m_y"], r["shift_y"] = multiplier_and_shift(factor)
            r["f_y"] = factor
            return
        twice = 2 * max(s_a, s_b)
        r["m_a"], r["shift_a"] = multiplier_and_shift(s_a / twice)
        r["m_b"], r["shift_b"] = multiplier_and_shift(s_b / twice)
        r["m_y"], r["shift_y"] = multiplier_and_shift(twice / ((1 << LEFT_SHIFT) * s_y))
        r["f_a"], r["f_b"], r["f_y"] = s_a, s_b, s_y

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        return combine, self._of_two(*buffers)
