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
from mcusim.kernels.compiled.fused_record import MOST_SHIFT
from mcusim.kernels.compiled.prepared import (
    ForwardKernel,
    address_of,
    check,
    check_mask,
    record_at,
)
from mcusim.kernels.compiled.requant import FLOAT, TFLITE, store_bits
from mcusim.kernels.compiled.weighted import MODES
from mcusim.kernels.reference.elementwise import LEFT_SHIFT, multiply_factor
from mcusim.kernels.scales import clamp_of, multiplier_and_shift, quant_of, scale_of
from mcusim.kernels.vector import simd
from mcusim.kernels.vector.fused import fixed

INTEGERS = (
    # Rows of ``count`` elements; bytes from row to row of each operand, 0 where one row serves all.
    "a", "b", "y", "mask", "rows", "count", "step_a", "step_b",
    "multiplies", "mode", "sign", "low", "high", "z_a", "z_b", "z_y",
    "m_a", "m_b", "m_y", "shift_a", "shift_b", "shift_y",
    # TFLite's rescaling as ``fixed`` does it, where it can; operands that are halved exactly.
    "fast", "halved_a", "halved_b",
)  # fmt: skip
LEAST_ROW = 16
"""Elements of a row from which on it pays to read it again and again rather than to copy it."""
RECORD = np.dtype([(n, np.int64) for n in INTEGERS] + [(n, np.float32) for n in ("f_a", "f_b", "f_y", "_")])


@inner
def _shifts(shift):  # type: ignore[no-untyped-def]
    return simd.splat_i32(np.int32(max(shift, 0))), simd.splat_i32(np.int32(max(-shift, 0)))


@inner
def _operand(value, halved, multiplier, rounding, right):  # type: ignore[no-untyped-def]
    """Rescale an operand of ADD or SUB from its own scale to twice the larger one."""
    if halved:
        return value * simd.splat_i32(np.int32(1 << (LEFT_SHIFT - 1)))
    return fixed(value * simd.splat_i32(np.int32(1 << LEFT_SHIFT)), multiplier, rounding, right)


@inner
def _rounding(shift, zero):  # type: ignore[no-untyped-def]
    """Return what ``fixed`` adds before its shift."""
    right = max(-shift, 1)
    return simd.splat_i32(np.int32((1 << (right - 1)) + (zero << right)))


@inner
def _combine_fast(r, a, b, y, bit):  # type: ignore[no-untyped-def]
    """Combine one row with TFLite's rounding, for scales within the bounds of ``fixed``."""
    z_a, z_b = simd.splat_i32(np.int32(r.z_a)), simd.splat_i32(np.int32(r.z_b))
    m_a, m_b = simd.splat_i32(np.int32(r.m_a)), simd.splat_i32(np.int32(r.m_b))
    m_y, sign = simd.splat_i32(np.int32(r.m_y)), simd.splat_i32(np.int32(r.sign))
    half_a, half_b, half_y = _rounding(r.shift_a, 0), _rounding(r.shift_b, 0), _rounding(r.shift_y, r.z_y)
    right_a, right_b, right_y = (
        simd.splat_i32(np.int32(-r.shift_a)), simd.splat_i32(np.int32(-r.shift_b)),
        simd.splat_i32(np.int32(-r.shift_y)),
    )  # fmt: skip
    low, high = simd.splat_i32(np.int32(r.low)), simd.splat_i32(np.int32(r.high))
    # Fields are read once: the compiler must assume that every store may change a record.
    count, multiplies, mask, halved_a, halved_b = r.count, r.multiplies, r.mask, r.halved_a, r.halved_b
    for i in range(0, count, 16):
        few = min(count - i, 16)
        p = (simd.load_s8(a + i) if few == 16 else simd.load_s8_first(a + i, few)) - z_a
        q = (simd.load_s8(b + i) if few == 16 else simd.load_s8_first(b + i, few)) - z_b
        if multiplies:
            total = p * q
        else:
            p = _operand(p, halved_a, m_a, half_a, right_a)
            total = p + sign * _operand(q, halved_b, m_b, half_b, right_b)
        value = fixed(total, m_y, half_y, right_y)
        clamped = simd.clamp_i32(value, low, high)
        if few == 16:
            simd.store_s8(y + i, clamped)
        else:
            simd.store_s8_first(y + i, clamped, few)
        if mask != 0:
            store_bits(mask, bit + i, simd.inside_i32(value, low, high), few)


@inner
def _combine(r, a, b, y, bit):  # type: ignore[no-untyped-def]
    """Combine one row in any profile, with any scales."""
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
        p = simd.load_s8_first(a + i, few) - z_a
        q = simd.load_s8_first(b + i, few) - z_b
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
        simd.store_s8_first(y + i, value, few)
        if r.mask != 0:
            store_bits(r.mask, bit + i, bits, few)


@compiled
def combine(address):  # type: ignore[no-untyped-def]
    """Run the op that the record at ``address`` describes; see the slow twin for the formulas."""
    r = record_at(address, RECORD)
    for row in range(r.rows):
        first = row * r.count
        if r.fast:
            _combine_fast(r, r.a + row * r.step_a, r.b + row * r.step_b, r.y + first, first)
        else:
            _combine(r, r.a + row * r.step_a, r.b + row * r.step_b, r.y + first, first)


class Broadcasting(ForwardKernel):
    """Base of the kernels of two operands.

    One that spans the last dimensions of the output is read again for every row of them; any other that
    is smaller is copied to the output's shape, a constant only once.
    """

    _constants: NDArray[Any]
    """The record of this op as far as it is the same for all buffers."""

    def __init__(self, op: Op, tensors: Tensors) -> None:
        super().__init__()
        self.op = op
        self._copies: dict[tuple[int, tuple[int, ...]], Array] = {}
        self._constant = tuple(tensors[name].constant for name in op.inputs)

    def _buffers(self, inputs: tuple[Array, ...], output: Array) -> tuple[Array, ...]:
        """Return the inputs, with those that no row serves copied to the output's shape."""
        shape = output.shape
        if all(i.shape == shape for i in inputs) or _row(inputs, shape) is not None:
            return inputs
        return tuple(
            x if x.shape == shape else self._broadcast(which, x, shape) for which, x in enumerate(inputs)
        )

    def _settled(self, inputs: tuple[Array, ...], buffers: tuple[Array, ...]) -> bool:
        return all(a is b or fixed for a, b, fixed in zip(buffers, inputs, self._constant, strict=True))

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
        """Return the record of two inputs and an output, with the mask if one is written."""
        y, mask, a, b = buffers
        name, record = f"op {self.op.name!r}", self._constants.copy()
        r = record[0]
        check(f"output of {name}", y, "int8")
        count = y.size
        if a.shape != y.shape or b.shape != y.shape:
            found = _row((a, b), y.shape)
            wrong = a if a.shape != y.shape else b
            if found is None:
                raise BadArgument(
                    f"input of {name}", f"has shape {wrong.shape}, which {y.shape} does not extend"
                )
            count = found
        for field, array in (("a", a), ("b", b)):
            check(f"input of {name}", array, "int8")
            r[field], r[f"step_{field}"] = address_of(array), count if array.size == y.size else 0
        if mask is not None:
            check_mask(name, mask, y)
        r["y"], r["mask"], r["count"], r["rows"] = address_of(y), address_of(mask), count, y.size // count
        return record


def _row(inputs: tuple[Array, ...], shape: tuple[int, ...]) -> int | None:
    """Return the elements of the row that the smaller operands span; ``None`` if they do not span one."""
    sizes = {x.size for x in inputs if x.shape != shape}
    size = sizes.pop() if sizes else 0
    if sizes or size < LEAST_ROW:
        return None
    for x in inputs:
        own = x.shape
        while own and own[0] == 1:
            own = own[1:]
        if x.shape != shape and own != shape[len(shape) - len(own) :]:
            return None
    return size


class BinaryRecord(Broadcasting):
    """ADD, SUB or MUL; see ``forward.forward``. The output may be one of the inputs."""

    def __init__(self, op: Op, tensors: Tensors, arithmetic: Arithmetic) -> None:
        super().__init__(op, tensors)
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
            r["f_y"], r["fast"] = factor, self._within("y")
            return
        twice = 2 * max(s_a, s_b)
        r["m_a"], r["shift_a"] = multiplier_and_shift(s_a / twice)
        r["m_b"], r["shift_b"] = multiplier_and_shift(s_b / twice)
        r["m_y"], r["shift_y"] = multiplier_and_shift(twice / ((1 << LEFT_SHIFT) * s_y))
        r["f_a"], r["f_b"], r["f_y"] = s_a, s_b, s_y
        for operand in ("a", "b"):
            r[f"halved_{operand}"] = (r[f"m_{operand}"], r[f"shift_{operand}"]) == (1 << 30, 0)
        r["fast"] = self._within("y") and all(r[f"halved_{o}"] or self._within(o) for o in ("a", "b"))

    def _within(self, which: str) -> bool:
        """True if ``fixed`` is exact for a scale of TFLite's; sums stay below 2**29 here."""
        r = self._constants[0]
        return bool(r["mode"] == TFLITE and -MOST_SHIFT <= r[f"shift_{which}"] < 0)

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        return combine, self._of_two(*buffers)
