"""Whole blocks of 16 elements of error tensors as float32, with nothing decided within the loops.

ga = (g * unit, 0 where the clamp acted) * factor, each operation rounded to float32. Bits of a mask begin at
whole bytes here: whoever calls has rows of a multiple of 8 elements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from mcusim.kernels.vector.tiles import loop
from mcusim.kernels.vector.vectors import (
    BIT,
    F32,
    I8,
    I16,
    I32,
    LONG,
    SHORT,
    WORD,
    call,
    constant,
    emitted,
    f32,
    load,
    store,
)

BYTES = {4: F32, 2: I16, 1: I8}
"""Formats, by their bytes an element."""
MAGIC = 1.5 * 2.0**23
"""What float32 are added to that are to be rounded to integers."""
MANY = 4
"""Blocks that are summed at once."""


def _value(b: Any, address: Any, kind: Any, unit: Any, mask: Any | None, factor: Any) -> Any:
    """Emit ga of 16 elements; without a mask the clamp never acted."""
    value = load(b, address, kind)
    if kind is not F32:
        value = b.sitofp(b.sext(value, I32), F32)
    value = b.fmul(value, unit)
    if mask is not None:
        value = b.select(b.bitcast(load(b, mask, SHORT), BIT), value, constant(F32, 0.0))
    return b.fmul(value, factor)


def _for_each(b: Any, format: Any, mask: Any, emit: Callable[[int, Any | None], None]) -> None:
    """Emit ``emit(bytes, mask)`` for every format, with a mask and without."""
    masked = b.icmp_signed("!=", mask, LONG(0))
    for size in BYTES:
        with b.if_then(b.icmp_signed("==", format, LONG(size))), b.if_else(masked) as (some, none):
            with some:
                emit(size, mask)
            with none:
                emit(size, None)


@emitted(types.none, types.int64, types.int64, f32, *(types.int64,) * 7)
def load_blocks(
    b: Any, g: Any, format: Any, unit: Any, mask: Any, factor: Any, row: Any, step: Any, channels: Any,
    pixels: Any, blocks: Any,
) -> None:  # fmt: skip
    """Write ga of so many blocks of so many pixels, ``step`` bytes from pixel to pixel.

    ``mask`` is the address of the first bits, or 0.
    """

    def emit(size: int, mask: Any | None) -> None:
        def block(n: Any, _: list[Any]) -> list[Any]:
            at = b.mul(n, LONG(64))
            own, target = load(b, b.add(factor, at), F32), b.add(row, at)
            bits = None if mask is None else b.add(mask, b.mul(n, LONG(2)))
            here = b.add(g, b.mul(n, LONG(16 * size)))

            def pixel(k: Any, _: list[Any]) -> list[Any]:
                first = b.mul(k, channels)
                place = b.add(here, b.mul(first, LONG(size)))
                each = None if bits is None else b.add(bits, b.lshr(first, LONG(3)))
                store(b, _value(b, place, BYTES[size], unit, each, own), b.add(target, b.mul(k, step)))
                return []

            loop(b, pixels, [], pixel)
            return []

        loop(b, blocks, [], block)

    _for_each(b, format, mask, emit)


def _sum_blocks(blocks: int) -> Any:
    """Return what writes the sums of ga over pixels ascending, of so many blocks."""

    @emitted(types.none, types.int64, types.int64, f32, *(types.int64,) * 5)
    def kernel(
        b: Any, g: Any, format: Any, unit: Any, mask: Any, factor: Any, out: Any, channels: Any, pixels: Any
    ) -> None:
        factors = [load(b, b.add(factor, LONG(64 * n)), F32) for n in range(blocks)]

        def emit(size: int, mask: Any | None) -> None:
            def body(k: Any, sums: list[Any]) -> list[Any]:
                first = b.mul(k, channels)
                here = b.add(g, b.mul(first, LONG(size)))
                bits = None if mask is None else b.add(mask, b.lshr(first, LONG(3)))
                new = []
                for n, total in enumerate(sums):
                    each = None if bits is None else b.add(bits, LONG(2 * n))
                    place = b.add(here, LONG(16 * size * n))
                    new.append(b.fadd(total, _value(b, place, BYTES[size], unit, each, factors[n])))
                return new

            for n, total in enumerate(loop(b, pixels, [constant(F32, 0.0)] * blocks, body)):
                store(b, total, b.add(out, LONG(64 * n)))

        _for_each(b, format, mask, emit)

    return kernel


sum_one, sum_many = _sum_blocks(1), _sum_blocks(MANY)


def _add_rows(blocks: int) -> Any:
    """Return what adds rows of float32, ``step`` bytes from row to row, to the sums of so many blocks."""

    @emitted(types.none, *(types.int64,) * 4)
    def kernel(b: Any, row: Any, step: Any, rows: Any, sums: Any) -> None:
        places = [b.add(sums, LONG(64 * n)) for n in range(blocks)]

        def body(k: Any, totals: list[Any]) -> list[Any]:
            at = b.add(row, b.mul(k, step))
            return [b.fadd(t, load(b, b.add(at, LONG(64 * n)), F32)) for n, t in enumerate(totals)]

        start = [load(b, place, F32) for place in places]
        for total, place in zip(loop(b, rows, start, body), places, strict=True):
            store(b, total, place)

    return kernel


add_one, add_many = _add_rows(1), _add_rows(MANY)


@emitted(types.none, types.int64, types.int64, f32, f32, *(types.int64,) * 4)
def store_blocks(
    b: Any, g: Any, format: Any, unit: Any, inverse: Any, add: Any, row: Any, count: Any, statistics: Any
) -> None:  # fmt: skip
    """Store ``count`` blocks of a row of float32 as integers, rounding half to even and saturating.

    With ``add`` other than 0 they are added to what is there, times ``unit``. ``statistics`` are 16 largest
    magnitudes, and the number of saturated elements, an int64.
    """
    peak = statistics
    total = b.add(statistics, LONG(64))
    accumulates = b.icmp_signed("!=", add, LONG(0))

    def emit(size: int, adds: bool) -> None:
        top = float(2 ** (8 * size - 1) - 1)

        def body(k: Any, found: list[Any]) -> list[Any]:
            largest, missed = found
            value = load(b, b.add(row, b.mul(k, LONG(64))), F32)
            place = b.add(g, b.mul(k, LONG(16 * size)))
            if adds:
                old = b.sitofp(b.sext(load(b, place, BYTES[size]), I32), F32)
                value = b.fadd(b.fmul(old, unit), value)
            size_of = call(b, "llvm.fabs.v16f32", F32, value)
            largest = b.select(b.fcmp_ordered(">", size_of, largest), size_of, largest)
            rounded = call(b, "llvm.rint.v16f32", F32, b.fmul(value, inverse))
            inside = b.fcmp_ordered("<=", call(b, "llvm.fabs.v16f32", F32, rounded), constant(F32, top))
            missed = b.select(inside, missed, b.add(missed, constant(I32, 1)))
            for symbol, bound in ((">", -top), ("<", top)):
                bound = constant(F32, bound)
                rounded = b.select(b.fcmp_ordered(symbol, rounded, bound), rounded, bound)
            store(b, b.trunc(b.fptosi(rounded, I32), BYTES[size]), place)
            return [largest, missed]

        largest, missed = loop(b, count, [load(b, peak, F32), constant(I32, 0)], body)
        store(b, largest, peak)
        more = call(b, "llvm.vector.reduce.add.v16i32", WORD, missed)
        store(b, b.add(load(b, total, LONG), b.zext(more, LONG)), total)

    def emit_inside(size: int) -> None:
        """As ``emit`` where nothing saturates, which is known at the end: then once more."""

        def body(k: Any, found: list[Any]) -> list[Any]:
            value = load(b, b.add(row, b.mul(k, LONG(64))), F32)
            # As integers magnitudes are in the same order, and what is no number is the largest.
            size_of = b.and_(b.bitcast(value, I32), constant(I32, 0x7FFFFFFF))
            largest = b.select(b.icmp_signed(">", size_of, found[0]), size_of, found[0])
            # Beside 1.5 * 2**23 a float32 has no fraction: the sum is rounded half to even, its lowest bits
            # are the integer.
            whole = b.bitcast(b.fadd(b.fmul(value, inverse), constant(F32, MAGIC)), I32)
            store(b, b.trunc(whole, BYTES[size]), b.add(g, b.mul(k, LONG(16 * size))))
            return [largest]

        (bits,) = loop(b, count, [constant(I32, 0)], body)
        largest = b.bitcast(bits, F32)
        beyond = b.fcmp_unordered(">=", b.fmul(largest, inverse), constant(F32, 2 ** (8 * size - 1) - 0.5))
        with b.if_else(b.icmp_signed("!=", b.bitcast(beyond, SHORT), SHORT(0))) as (some, none):
            with some:
                emit(size, adds=False)
            with none:
                before = load(b, peak, F32)
                store(b, b.select(b.fcmp_ordered(">", largest, before), largest, before), peak)

    for size in (2, 1):
        with b.if_then(b.icmp_signed("==", format, LONG(size))), b.if_else(accumulates) as (yes, no):
            with yes:
                emit(size, adds=True)
            with no:
                emit_inside(size)
