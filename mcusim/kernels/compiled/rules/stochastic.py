"""Compiled twins of the rules in ``number_formats.stochastic``."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils

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
from mcusim.kernels.vector.tiles import loop
from mcusim.kernels.vector.vectors import (
    BYTE,
    F32,
    FLOAT,
    I8,
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
    pointer,
    splat,
    store,
)

SQUARE = 4
"""Channels that follow each other from which on squares of weights are moved, not columns."""
_FAR = 1000.0
"""Further than a weight can go; what is not a number goes there too."""


def _moves(b: Any, key: Any, element: Any, step: Any, change: Any) -> Any:
    """Emit how far 16 weights move, elements ``step`` apart from ``element``."""

    def folded(z: Any, bits: int) -> Any:
        return b.xor(z, b.lshr(z, constant(I64, bits)))

    if isinstance(step, int):
        first = b.add(key, b.mul(b.add(element, LONG(1)), LONG(int(GOLDEN))))
        lanes = ir.Constant(I64, [lane * step * int(GOLDEN) % 2**64 for lane in range(LANES)])
        z = b.add(splat(b, first), lanes)
    else:
        lanes = b.mul(ir.Constant(I64, list(range(LANES))), splat(b, step))
        index = b.add(b.add(splat(b, element), lanes), constant(I64, 1))
        z = b.add(splat(b, key), b.mul(index, constant(I64, int(GOLDEN))))
    z = b.mul(folded(z, 30), constant(I64, int(MIX_1)))
    z = b.mul(folded(z, 27), constant(I64, int(MIX_2)))
    # Of z ^ (z >> 31) only the upper half is drawn.
    word = b.trunc(b.lshr(z, constant(I64, 32)), I32)
    return rounded(b, b.xor(word, b.lshr(word, constant(I32, 31))), change)


def rounded(b: Any, word: Any, change: Any) -> Any:
    """Emit floor(word / 2**32 - change) of 16 lanes as float64 gives it, in 32 bits; at most ``_FAR``.

    With n = floor(change) and r = change - n, which is exact outside of -1..0, the result is -n, less 1 where
    word < r 2**32: the sign of a difference is never rounded. For -1 < change < 0 it is 1 where the sum of
    word / 2**32 and -change, rounded to 53 bits, reaches 1, that is from 1 - 2**-54 on (a tie, and 1 is
    even): where word + floor(-change 2**32 + 2**-22) reaches 2**32, which is a carry. Products with 2**32 are
    exact.
    """
    for symbol, bound in (("<", _FAR), (">", -_FAR)):
        change = b.select(b.fcmp_ordered(symbol, change, constant(F32, bound)), change, constant(F32, bound))
    nothing, one = constant(F32, 0.0), constant(I32, 1)
    up = b.and_(
        b.fcmp_ordered("<", change, nothing), b.fcmp_ordered(">", change, constant(F32, -1.0))
    )  # fmt: skip
    whole = b.select(up, nothing, call(b, "llvm.floor.v16f32", F32, change))
    part = b.fmul(b.fsub(change, whole), constant(F32, 2.0**32))
    part = call(b, "llvm.fabs.v16f32", F32, part)
    lower = call(b, "llvm.floor.v16f32", F32, part)
    enough = b.select(up, constant(F32, 1 - 2.0**-22), constant(F32, 2.0**-126))
    more = b.zext(b.fcmp_ordered(">=", b.fsub(part, lower), enough), I32)
    limit = b.add(b.fptoui(lower, I32), more)
    reached = b.icmp_unsigned("<", b.select(up, b.add(word, limit), word), limit)
    moved = b.select(reached, b.select(up, one, constant(I32, -1)), constant(I32, 0))
    return b.sub(moved, b.fptosi(whole, I32))


@emitted(types.none, types.int64, types.int64, types.uint64, types.int64, types.int64, f32)
def _move_16(b: Any, value: Any, stride: Any, key: Any, element: Any, step: Any, change: Any) -> None:
    """Move 16 weights ``stride`` bytes apart, elements ``step`` apart from ``element``, as ``_int8`` does."""
    whole = _moves(b, key, element, step, change)
    for lane in range(LANES):
        place = b.add(value, b.mul(stride, LONG(lane)))
        weight = b.add(b.sext(load(b, place, BYTE), WORD), b.extract_element(whole, WORD(lane)))
        for symbol, limit in (("<", WORD(-127)), (">", WORD(127))):
            weight = b.select(b.icmp_signed(symbol, weight, limit), limit, weight)
        store(b, b.trunc(weight, BYTE), place)


def _transposed(b: Any, rows: list[Any]) -> list[Any]:
    """Emit the columns of 16 rows."""
    for step in (1, 2, 4, 8):
        first = [lane if lane & step == 0 else LANES + lane - step for lane in range(LANES)]
        second = [lane + step if lane & step == 0 else LANES + lane for lane in range(LANES)]
        for i in range(LANES):
            if i & step == 0:
                pair = rows[i], rows[i + step]
                rows[i], rows[i + step] = (
                    b.shuffle_vector(*pair, ir.Constant(I32, picked)) for picked in (first, second)
                )
    return rows


@emitted(types.none, *(types.int64,) * 4, f32, *(types.int64,) * 4, types.uint64, types.int64)
def _move_square(
    b: Any, gradient: Any, row: Any, factor: Any, own: Any, speed: Any, count: Any, columns: Any, value: Any,
    stride: Any, key: Any, element: Any,
) -> None:  # fmt: skip
    """Move up to 16 x 16 weights as ``_int8`` does.

    Args:
        b: builder.
        gradient: address of the first of ``count`` rows, one an input channel.
        row: bytes from row to row.
        factor: address of a factor for each column, or with ``own`` other than 0 for each row.
        own: 4, or 0.
        speed: the rate.
        count: rows, weights that lie side by side.
        columns: of a row.
        value: address of the weights of the first column.
        stride: bytes, and elements, from column to column.
        key: what the draws start from.
        element: place of the first weight.
    """
    lanes = ir.Constant(I32, list(range(LANES)))
    across = b.icmp_signed("==", own, LONG(0))
    there = b.icmp_signed("<", lanes, splat(b, b.trunc(columns, WORD)))
    known = b.and_(there, splat(b, across))
    nothing = constant(F32, 0.0)

    def loaded(address: Any, mask: Any) -> Any:
        return call(b, "llvm.masked.load.v16f32.p0", F32, pointer(b, address, F32), WORD(1), mask, nothing)

    factors, rows = loaded(factor, known), []
    for i in range(LANES):
        at = b.select(b.icmp_signed("<", LONG(i), count), LONG(i), LONG(0))
        of_row = splat(b, load(b, b.add(factor, b.mul(own, at)), FLOAT))
        change = b.fmul(loaded(b.add(gradient, b.mul(row, at)), there), b.select(across, factors, of_row))
        rows.append(b.fmul(speed, change))
    place = cgutils.alloca_once(b, F32, LANES)
    for i, column in enumerate(_transposed(b, rows)):
        b.store(column, b.gep(place, [WORD(i)])).align = 1
    start = b.ptrtoint(place, LONG)
    here = b.icmp_signed("<", lanes, splat(b, b.trunc(count, WORD)))
    full = b.icmp_signed("==", count, LONG(LANES))

    def body(k: Any, _: list[Any]) -> list[Any]:
        at = b.mul(k, stride)
        whole = _moves(b, key, b.add(element, at), 1, load(b, b.add(start, b.mul(k, LONG(64))), F32))
        where = b.add(value, at)
        # Not every processor has masks of bytes.
        with b.if_else(full) as (all_, some):
            with all_:
                sixteen, first = load(b, where, I8), b.block
            with some:
                place = pointer(b, where, I8)
                few = call(b, "llvm.masked.load.v16i8.p0", I8, place, WORD(1), here, constant(I8, 0))
                second = b.block
        old = b.phi(I8)
        old.add_incoming(sixteen, first)
        old.add_incoming(few, second)
        weight = b.add(b.sext(old, I32), whole)
        for symbol, limit in (("<", constant(I32, -127)), (">", constant(I32, 127))):
            weight = b.select(b.icmp_signed(symbol, weight, limit), limit, weight)
        new = b.trunc(weight, I8)
        with b.if_else(full) as (all_, some):
            with all_:
                store(b, new, where)
            with some:
                args = new, pointer(b, where, I8), WORD(1), here
                call(b, "llvm.masked.store.v16i8.p0", ir.VoidType(), *args)
        return []

    loop(b, columns, [], body)


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
def _run_of(channels, first, count):  # type: ignore[no-untyped-def]
    """Return how many channels from the ``first``-th on follow each other, at most 16."""
    run = 1
    while run < 16 and first + run < count and channels[first + run] == channels[first] + run:
        run += 1
    return run


@inner
def _blocks(a, rate, seed, counter):  # type: ignore[no-untyped-def]
    """What ``over_weight`` does with ``_int8`` and plain SGD, 16 outputs or 16 x 16 weights at a time."""
    if not exist(a.channels, a.selected, a.inputs):
        return False
    key, speed = key_of(seed, counter), simd.splat_f32(np.float32(rate))
    channels, s = array_at(a.channels, a.selected, np.int32), 0
    while s < a.selected:
        run = 1 if a.compact else _run_of(channels, s, a.selected)
        if run >= SQUARE:
            _squares(a, s, run, channels[s], speed, key)
        else:
            run = 1
            _rows(a, s, channels[s], np.float32(rate), speed, key)
        s += run
    return True


@inner
def _squares(a, s, run, channel, speed, key):  # type: ignore[no-untyped-def]
    """Move the weights of channels that lie side by side."""
    taps, last = a.taps, a.last
    row, start = taps * last * 4, a.gradient + s * taps * last * 4
    if a.depth != a.inputs:
        for tap in range(0, taps, 16):
            element, count = channel + tap * a.stride_tap, min(taps - tap, 16)
            own = a.factor + 4 * channel
            at = a.value + element
            _move_square(start + 4 * tap, row, own, 4, speed, run, count, at, a.stride_tap, key, element)
        return
    for tap in range(taps):
        for c in range(0, last, 16):
            element, count = channel + tap * a.stride_tap + c * a.stride_last, min(last - c, 16)
            at, here = a.value + element, start + 4 * (tap * last + c)
            _move_square(here, row, a.factor + 4 * c, 0, speed, run, count, at, a.stride_last, key, element)


@inner
def _rows(a, s, channel, rate, speed, key):  # type: ignore[no-untyped-def]
    """Move the weights of one channel."""
    block, last, apart = a.taps * a.last, a.last, 1 if a.compact else a.stride_last
    gradient = array_at(a.gradient, a.selected * block, np.float32)
    factor = array_at(a.factor, a.factors, np.float32)
    own = channel // a.depth * a.factor_group
    first = channel // a.depth * a.stride_group + channel % a.depth * a.stride_channel
    for tap in range(a.taps):
        here = s * block + tap * last
        element = first + tap * a.stride_tap
        start = here if a.compact else element
        whole = last - last % 16
        for c in range(0, whole, 16):
            change = simd.load_f32(a.gradient + 4 * (here + c)) * simd.load_f32(a.factor + 4 * (own + c))
            at = a.value + start + c * apart
            _move_16(at, apart, key, element + c * a.stride_last, a.stride_last, speed * change)
        for c in range(whole, last):
            change = rate * (gradient[here + c] * factor[own + c])
            _int8(a, start + c * apart, element + c * a.stride_last, change, key)


@compiled
def int8(address, rate, momentum, seed, counter):  # type: ignore[no-untyped-def]
    """Learn ``int8-sr`` weights."""
    a = record_at(address, RECORD)
    # Inputs that meet every output lie side by side, and so do depthwise channels of one output each.
    plain = a.depth == a.inputs or (a.depth == 1 and a.last == 1)
    if a.velocity == 0 and a.square == 0 and plain:
        return _blocks(a, rate, seed, counter)
    return over_weight(address, rate, momentum, seed, counter, _int8)


@compiled
def int32(address, rate, momentum, seed, counter):  # type: ignore[no-untyped-def]
    """Learn ``int32-sr`` biases."""
    return over_bias(address, rate, momentum, seed, counter, _int32)
