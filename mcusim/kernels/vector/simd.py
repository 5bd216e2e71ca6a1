"""Sixteen lanes at a time: loads, stores and arithmetic on the vectors of ``vectors``, for numba code."""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin

from mcusim.kernels.vector.vectors import (
    BIT,
    BYTE,
    F32,
    I8,
    I16,
    I32,
    I64,
    LANES,
    LONG,
    WORD,
    Vector,
    call,
    constant,
    dot2,
    emitted,
    f32,
    features,
    i32,
    load,
    pointer,
    splat,
    store,
)  # fmt: skip


@emitted(i32, types.int64)
def load_s8(b: Any, address: Any) -> Any:
    """Load 16 int8."""
    return b.sext(load(b, address, I8), I32)


@emitted(i32, types.int64)
def load_u8(b: Any, address: Any) -> Any:
    """Load 16 uint8."""
    return b.zext(load(b, address, I8), I32)


@emitted(i32, types.int64)
def load_s16(b: Any, address: Any) -> Any:
    """Load 16 int16."""
    return b.sext(load(b, address, I16), I32)


@emitted(i32, types.int64)
def load_i32(b: Any, address: Any) -> Any:
    """Load 16 int32."""
    return load(b, address, I32)


@emitted(f32, types.int64)
def load_f32(b: Any, address: Any) -> Any:
    """Load 16 float32."""
    return load(b, address, F32)


@emitted(types.none, types.int64, i32)
def store_i32(b: Any, address: Any, value: Any) -> None:
    """Store 16 int32."""
    store(b, value, address)


@emitted(types.none, types.int64, f32)
def store_f32(b: Any, address: Any, value: Any) -> None:
    """Store 16 float32."""
    store(b, value, address)


@emitted(types.none, types.int64, i32)
def store_s8(b: Any, address: Any, value: Any) -> None:
    """Store the low bytes of 16 int32."""
    store(b, b.trunc(value, I8), address)


def _first(b: Any, count: Any) -> Any:
    """Emit a vector of bits of which the first ``count`` are set."""
    lanes = ir.Constant(I32, list(range(LANES)))
    return b.icmp_signed("<", lanes, splat(b, b.trunc(count, WORD)))


def _masked_load(b: Any, address: Any, count: Any, kind: Any, name: str) -> Any:
    return call(
        b, f"llvm.masked.load.{name}.p0", kind, pointer(b, address, kind), WORD(1), _first(b, count),
        ir.Constant(kind, None),
    )  # fmt: skip


def _masked_store(b: Any, value: Any, address: Any, count: Any, name: str) -> None:
    call(
        b, f"llvm.masked.store.{name}.p0", ir.VoidType(), value, pointer(b, address, value.type), WORD(1),
        _first(b, count),
    )  # fmt: skip


@emitted(i32, types.int64, types.int64)
def load_s8_first(b: Any, address: Any, count: Any) -> Any:
    """Load the first ``count`` of 16 int8; the rest are 0 and not read."""
    return b.sext(_masked_load(b, address, count, I8, "v16i8"), I32)


@emitted(i32, types.int64, types.int64)
def load_s16_first(b: Any, address: Any, count: Any) -> Any:
    """Load the first ``count`` of 16 int16; the rest are 0 and not read."""
    return b.sext(_masked_load(b, address, count, I16, "v16i16"), I32)


@emitted(f32, types.int64, types.int64)
def load_f32_first(b: Any, address: Any, count: Any) -> Any:
    """Load the first ``count`` of 16 float32; the rest are 0 and not read."""
    return _masked_load(b, address, count, F32, "v16f32")


@emitted(types.none, types.int64, i32, types.int64)
def store_s8_first(b: Any, address: Any, value: Any, count: Any) -> None:
    """Store the low bytes of the first ``count`` of 16 int32."""
    _masked_store(b, b.trunc(value, I8), address, count, "v16i8")


@emitted(types.none, types.int64, i32, types.int64)
def store_s16_first(b: Any, address: Any, value: Any, count: Any) -> None:
    """Store the low halves of the first ``count`` of 16 int32."""
    _masked_store(b, b.trunc(value, I16), address, count, "v16i16")


@emitted(types.none, types.int64, i32, types.int64)
def store_i32_first(b: Any, address: Any, value: Any, count: Any) -> None:
    """Store the first ``count`` of 16 int32."""
    _masked_store(b, value, address, count, "v16i32")


@emitted(types.none, types.int64, f32, types.int64)
def store_f32_first(b: Any, address: Any, value: Any, count: Any) -> None:
    """Store the first ``count`` of 16 float32."""
    _masked_store(b, value, address, count, "v16f32")


@emitted(i32, types.int32)
def splat_i32(b: Any, value: Any) -> Any:
    """Return 16 times the same int32."""
    return splat(b, value)


@emitted(f32, types.float32)
def splat_f32(b: Any, value: Any) -> Any:
    """Return 16 times the same float32."""
    return splat(b, value)


@emitted(f32, i32)
def to_f32(b: Any, value: Any) -> Any:
    """Convert to float32, rounding half to even."""
    return b.sitofp(value, F32)


@emitted(f32, i32, i32)
def wide_sum_to_f32(b: Any, p: Any, q: Any) -> Any:
    """Add in 64 bits, then convert to float32, rounding once."""
    return b.sitofp(b.add(b.sext(p, I64), b.sext(q, I64)), F32)


@emitted(i32, i32, i32)
def saturating_add(b: Any, p: Any, q: Any) -> Any:
    """Add; what does not fit into 32 bits becomes the nearest number that does."""
    return call(b, "llvm.sadd.sat.v16i32", I32, p, q)


@emitted(i32, f32)
def to_i32(b: Any, value: Any) -> Any:
    """Convert to int32, truncating; the values must fit."""
    return b.fptosi(value, I32)


@emitted(f32, f32)
def rint(b: Any, value: Any) -> Any:
    """Round half to even."""
    return call(b, "llvm.rint.v16f32", F32, value)


@emitted(f32, f32)
def trunc(b: Any, value: Any) -> Any:
    """Round toward zero."""
    return call(b, "llvm.trunc.v16f32", F32, value)


@emitted(f32, f32)
def magnitude(b: Any, value: Any) -> Any:
    """Return absolute values."""
    return call(b, "llvm.fabs.v16f32", F32, value)


@emitted(f32, f32, f32, f32)
def clamp_f32(b: Any, value: Any, low: Any, high: Any) -> Any:
    """Clamp to [low, high]; NaN becomes ``low``."""
    value = b.select(b.fcmp_ordered(">", value, low), value, low)
    return b.select(b.fcmp_ordered("<", value, high), value, high)


@emitted(i32, i32, i32, i32)
def clamp_i32(b: Any, value: Any, low: Any, high: Any) -> Any:
    """Clamp to [low, high]."""
    value = b.select(b.icmp_signed(">", value, low), value, low)
    return b.select(b.icmp_signed("<", value, high), value, high)


@emitted(types.float32, f32)
def tree_sum(b: Any, value: Any) -> Any:
    """Add the upper half of the lanes to the lower half until one is left."""
    count = LANES
    while count > 1:
        count //= 2
        low, high = (
            b.shuffle_vector(
                value, ir.Constant(value.type, ir.Undefined),
                ir.Constant(ir.VectorType(WORD, count), list(range(at, at + count))),
            )
            for at in (0, count)
        )  # fmt: skip
        value = b.fadd(low, high)
    return b.extract_element(value, WORD(0))


@emitted(f32, f32)
def half_away(b: Any, value: Any) -> Any:
    """Round half away from zero."""
    return call(b, "llvm.round.v16f32", F32, value)


@emitted(types.int64, f32, f32, f32)
def inside_f32(b: Any, value: Any, low: Any, high: Any) -> Any:
    """Return 16 bits: which lanes lie in [low, high]."""
    inside = b.and_(b.fcmp_ordered(">=", value, low), b.fcmp_ordered("<=", value, high))
    return b.zext(b.bitcast(inside, ir.IntType(LANES)), LONG)


@emitted(types.int64, i32, i32, i32)
def inside_i32(b: Any, value: Any, low: Any, high: Any) -> Any:
    """Return 16 bits: which lanes lie in [low, high]."""
    inside = b.and_(b.icmp_signed(">=", value, low), b.icmp_signed("<=", value, high))
    return b.zext(b.bitcast(inside, ir.IntType(LANES)), LONG)


@emitted(types.int64, types.int64)
def ones(b: Any, bits: Any) -> Any:
    """Count the bits that are set."""
    return call(b, "llvm.ctpop.i64", LONG, bits)


@emitted(f32, f32, f32)
def larger(b: Any, p: Any, q: Any) -> Any:
    """Return the larger of each two lanes."""
    return b.select(b.fcmp_ordered(">", p, q), p, q)


@emitted(i32, i32, i32)
def larger_i32(b: Any, p: Any, q: Any) -> Any:
    """Return the larger of each two lanes."""
    return b.select(b.icmp_signed(">", p, q), p, q)


@emitted(f32, types.int64, f32)
def where(b: Any, bits: Any, value: Any) -> Any:
    """Keep the lanes whose bit is set; the others become 0."""
    chosen = b.bitcast(b.trunc(bits, ir.IntType(LANES)), BIT)
    return b.select(chosen, value, ir.Constant(F32, None))


@emitted(i32, i32, i32, i32, i32)
def rescale_fixed(b: Any, value: Any, multiplier: Any, left: Any, right: Any) -> Any:
    """TFLite's MultiplyByQuantizedMultiplier with double rounding; see the slow twin."""
    one = constant(I32, 1)
    # Even and odd lanes apart: products of 64 bits then need no moves between lanes.
    wide = ir.VectorType(LONG, LANES // 2)
    word, half = constant(wide, 32), constant(wide, 1 << 30)
    x, m = (b.bitcast(v, wide) for v in (b.shl(value, left), multiplier))
    even = b.mul(*(b.ashr(b.shl(v, word), word) for v in (x, m)))
    odd = b.mul(*(b.ashr(v, word) for v in (x, m)))
    low = b.and_(b.lshr(b.add(even, half), constant(wide, 31)), constant(wide, 0xFFFFFFFF))
    upper = b.and_(b.shl(b.add(odd, half), constant(wide, 1)), constant(wide, 0xFFFFFFFF << 32))
    high = b.bitcast(b.or_(low, upper), I32)
    mask = b.sub(b.shl(one, right), one)
    threshold = b.add(b.ashr(mask, one), b.lshr(high, constant(I32, 31)))
    rest = b.icmp_signed(">", b.and_(high, mask), threshold)
    return b.add(b.ashr(high, right), b.zext(rest, I32))


@emitted(types.none, types.int64, types.int64)
def flip_64(b: Any, source: Any, target: Any) -> None:
    """Copy 64 int8 as uint8: each plus 128."""
    kind = ir.VectorType(BYTE, 64)
    store(b, b.xor(load(b, source, kind), constant(kind, 128)), target)


@emitted(types.none, types.int64, types.int64, types.int64)
def copy(b: Any, source: Any, target: Any, count: Any) -> None:
    """Copy ``count`` bytes; the places must not overlap."""
    kind = ir.IntType(8)
    args = (pointer(b, target, kind), pointer(b, source, kind), count, ir.Constant(ir.IntType(1), 0))
    call(b, "llvm.memcpy.p0.p0.i64", ir.VoidType(), *args)


@emitted(types.none, types.int64, types.int64)
def flip_16(b: Any, source: Any, target: Any) -> None:
    """Copy 16 int8 as uint8: each plus 128."""
    store(b, b.xor(load(b, source, I8), constant(I8, 128)), target)


@emitted(types.none, types.int64, types.int64, types.int64)
def flip_first(b: Any, source: Any, target: Any, count: Any) -> None:
    """Copy the first ``count`` of 16 int8 as uint8: each plus 128. Nothing else is read or written."""
    value = b.xor(_masked_load(b, source, count, I8, "v16i8"), constant(I8, 128))
    _masked_store(b, value, target, count, "v16i8")


@emitted(types.none, types.int64, types.int32, types.int64)
def fill_first(b: Any, target: Any, value: Any, count: Any) -> None:
    """Set the first ``count`` of 16 bytes."""
    _masked_store(b, splat(b, b.trunc(value, BYTE)), target, count, "v16i8")


@emitted(i32, i32, i32)
def pair(b: Any, low: Any, high: Any) -> Any:
    """Put two non-negative int16 into each lane."""
    return b.or_(low, b.shl(high, constant(I32, 16)))


@emitted(i32, i32, i32, i32)
def add_dot2(b: Any, total: Any, x: Any, w: Any) -> Any:
    """Return total + the sum of two products of int16 in each lane."""
    if "+avx512vnni" in features():
        return call(b, "llvm.x86.avx512.vpdpwssd.512", I32, total, x, w)
    halves = ir.VectorType(ir.IntType(16), 32)
    return b.add(total, dot2(b, b.bitcast(x, halves), b.bitcast(w, halves)))


@emitted(types.int64, types.int64)
def int64_at(b: Any, address: Any) -> Any:
    """Load one int64."""
    return load(b, address, LONG)


@emitted(types.float64, types.int64)
def float64_at(b: Any, address: Any) -> Any:
    """Load one float64."""
    return load(b, address, ir.DoubleType())


@emitted(types.int64, types.int64)
def int32_at(b: Any, address: Any) -> Any:
    """Load one uint32."""
    return b.zext(load(b, address, WORD), LONG)


@emitted(types.int64, types.int64)
def byte_at(b: Any, address: Any) -> Any:
    """Load one uint8."""
    return b.zext(load(b, address, BYTE), LONG)


@emitted(types.none, types.int64, types.int64)
def store_byte(b: Any, address: Any, value: Any) -> None:
    """Store the lowest byte."""
    store(b, b.trunc(value, BYTE), address)


@emitted(types.none, types.int64, types.int64)
def store_two_bytes(b: Any, address: Any, value: Any) -> None:
    """Store the two lowest bytes."""
    store(b, b.trunc(value, ir.IntType(16)), address)


def _operator(symbol: Any, kind: Vector, method: str) -> None:
    @infer_global(symbol)
    class _Template(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            return signature(kind, kind, kind) if args == (kind, kind) else None

    @lower_builtin(symbol, kind, kind)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, method)(*args)


for _symbol, _integer, _float in (
    (operator.add, "add", "fadd"), (operator.sub, "sub", "fsub"), (operator.mul, "mul", "fmul"),
):  # fmt: skip
    _operator(_symbol, i32, _integer)
    _operator(_symbol, f32, _float)
_operator(operator.truediv, f32, "fdiv")
