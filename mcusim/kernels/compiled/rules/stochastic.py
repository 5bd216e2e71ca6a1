"""Compiled twins of the rules in ``number_formats.stochastic``."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.prepared import array_at, exist, record_at
from mcusim.kernels.compiled.rules.loops import (
    GOLDEN,
    MIX_1,
    MIX_2,
    RECORD,
    clamp,
    key_of,
    over_bias,
    over_weight,
    uniform,
)
from mcusim.kernels.vector import simd
from mcusim.kernels.vector.vectors import (
    BYTE,
    I32,
    I64,
    LANES,
    LONG,
    WORD,
    call,
    constant,
    emitted,
    f32,
    load,
    splat,
    store,
)

_F64 = ir.VectorType(ir.DoubleType(), LANES)
_FAR = 1000.0
"""Further than a weight can go; what is not a number goes there too."""


@emitted(types.none, types.int64, types.int64, types.uint64, types.int64, types.int64, f32)
def _move_16(b: Any, value: Any, stride: Any, key: Any, element: Any, step: Any, change: Any) -> None:
    """Move 16 weights ``stride`` bytes apart, elements ``step`` apart from ``element``, as ``_int8`` does."""

    def folded(z: Any, bits: int) -> Any:
        return b.xor(z, b.lshr(z, constant(I64, bits)))

    lanes = b.mul(ir.Constant(I64, list(range(LANES))), splat(b, step))
    index = b.add(b.add(splat(b, element), lanes), constant(I64, 1))
    z = b.add(splat(b, key), b.mul(index, constant(I64, int(GOLDEN))))
    z = b.mul(folded(z, 30), constant(I64, int(MIX_1)))
    z = folded(b.mul(folded(z, 27), constant(I64, int(MIX_2))), 31)
    unit = b.fmul(b.sitofp(b.lshr(z, constant(I64, 32)), _F64), constant(_F64, 2.0**-32))
    moved = call(b, "llvm.floor.v16f64", _F64, b.fsub(unit, b.fpext(change, _F64)))
    for symbol, bound in ((">", -_FAR), ("<", _FAR)):
        moved = b.select(b.fcmp_ordered(symbol, moved, constant(_F64, bound)), moved, constant(_F64, bound))
    whole = b.fptosi(moved, I32)
    for lane in range(LANES):
        place = b.add(value, b.mul(stride, LONG(lane)))
        weight = b.add(b.sext(load(b, place, BYTE), WORD), b.extract_element(whole, WORD(lane)))
        for symbol, limit in (("<", WORD(-127)), (">", WORD(127))):
            weight = b.select(b.icmp_signed(symbol, weight, limit), limit, weight)
        store(b, b.trunc(weight, BYTE), place)


@inner
def _int8(a, at, element, step, key):  # type: ignore[no-untyped-def]
    weight = array_at(a.value, a.elements, np.int8)
    change = np.floor(uniform(key, element) - np.float64(step))
    weight[at] = np.int8(clamp(np.float64(weight[at]) + change, -127.0, 127.0))


@inner
def _int32(a, at, element, step, key):  # type: ignore[no-untyped-def]
    bias = array_at(a.value, a.elements, np.int32)
    moved = np.float64(bias[at]) + np.floor(uniform(key, element) - np.float64(step))
    bias[at] = np.int32(clamp(moved, -2147483648.0, 2147483647.0))


@inner
def _blocks(a, rate, seed, counter):  # type: ignore[no-untyped-def]
    """What ``over_weight`` does with ``_int8`` and plain SGD, 16 outputs at a time."""
    if not exist(a.channels, a.selected, a.inputs):
        return False
    key, block, last, taps, compact = key_of(seed, counter), a.taps * a.last, a.last, a.taps, a.compact
    channels = array_at(a.channels, a.selected, np.int32)
    gradient, factor = (
        array_at(a.gradient, a.selected * block, np.float32),
        array_at(a.factor, last, np.float32),
    )
    whole = last - last % 16
    speed = simd.splat_f32(np.float32(rate))
    apart = 1 if compact else a.stride_last
    for s in range(a.selected):
        for tap in range(taps):
            here = s * block + tap * last
            element = channels[s] * a.stride_channel + tap * a.stride_tap
            start = here if compact else element
            for c in range(0, whole, 16):
                change = simd.load_f32(a.gradient + 4 * (here + c)) * simd.load_f32(a.factor + 4 * c)
                at = a.value + start + c * apart
                _move_16(at, apart, key, element + c * a.stride_last, a.stride_last, speed * change)
            for c in range(whole, last):
                change = np.float32(rate) * (gradient[here + c] * factor[c])
                _int8(a, start + c * apart, element + c * a.stride_last, change, key)
    return True


@compiled
def int8(address, rate, momentum, seed, counter):  # type: ignore[no-untyped-def]
    """Learn ``int8-sr`` weights."""
    a = record_at(address, RECORD)
    if a.velocity == 0 and a.square == 0 and a.depth == a.inputs:
        return _blocks(a, rate, seed, counter)
    return over_weight(address, rate, momentum, seed, counter, _int8)


@compiled
def int32(address, rate, momentum, seed, counter):  # type: ignore[no-untyped-def]
    """Learn ``int32-sr`` biases."""
    return over_bias(address, rate, momentum, seed, counter, _int32)
