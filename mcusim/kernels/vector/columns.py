"""Depthwise products down the columns: four rows interleaved, so that one instruction sums four taps.

A line holds 32 bits for every pixel and channel: one byte of each of four rows, below one another, flipped to
uint8. A window of up to four rows is then one product a column; higher ones take several lines.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from mcusim.kernels.vector.fused import Outputs, along, field, last_channels
from mcusim.kernels.vector.tiles import dot4, loop
from mcusim.kernels.vector.vectors import (
    I8,
    I32,
    LONG,
    WORD,
    call,
    constant,
    emitted,
    load,
    pointer,
    splat,
    store,
)

MANY = 4
"""Pixels whose sums stay in registers at once."""


@emitted(types.none, *(types.int64,) * 6)
def interleave(b: Any, row_0: Any, row_1: Any, row_2: Any, row_3: Any, line: Any, count: Any) -> None:
    """Write ``count`` bytes of each of four rows of int8 as a line; nothing else is read or written."""
    rows = (row_0, row_1, row_2, row_3)

    def woven(values: list[Any]) -> Any:
        words = [b.zext(value, I32) for value in values]
        words = [words[0], *(b.shl(word, constant(I32, 8 * i)) for i, word in enumerate(words) if i)]
        return b.xor(b.or_(b.or_(words[0], words[1]), b.or_(words[2], words[3])), constant(I32, -0x7F7F7F80))

    def body(k: Any, _: list[Any]) -> list[Any]:
        at = b.mul(k, LONG(16))
        store(b, woven([load(b, b.add(row, at), I8) for row in rows]), b.add(line, b.mul(at, LONG(4))))
        return []

    full = b.lshr(count, LONG(4))
    loop(b, full, [], body)
    done = b.mul(full, LONG(16))
    rest = b.sub(count, done)
    lanes = b.icmp_signed("<", ir.Constant(I32, list(range(16))), splat(b, b.trunc(rest, WORD)))
    with b.if_then(b.icmp_signed(">", rest, LONG(0))):
        nothing = ir.Constant(I8, None)
        parts = [
            call(
                b, "llvm.masked.load.v16i8.p0", I8, pointer(b, b.add(row, done), I8), WORD(1), lanes, nothing
            )
            for row in rows
        ]
        where = pointer(b, b.add(line, b.mul(done, LONG(4))), I32)
        call(b, "llvm.masked.store.v16i32.p0", ir.VoidType(), woven(parts), where, WORD(1), lanes)


def two_rows_of_three(profile: int) -> Any:
    """Return the kernel of two lines of outputs of 3x3 windows at stride 1, from one line of four rows.

    It takes the record, where the columns of the first window start in the line, and the numbers of the first
    element of both lines of outputs. Weights are [group of 16 channels][output line][column][16][4 rows].
    """

    @emitted(types.none, *(types.int64,) * 4)
    def kernel(b: Any, record: Any, line: Any, first: Any, second: Any) -> None:
        outputs, groups, last = (
            Outputs(b, record, profile),
            field(b, record, "blocks"),
            last_channels(b, record),
        )
        packed, offset, ow, width = (field(b, record, n) for n in ("packed", "offset", "ow", "c_out"))
        step = b.mul(width, LONG(4))

        def group(g: Any, _: list[Any]) -> list[Any]:
            at = b.mul(g, LONG(64))
            weights = [load(b, b.add(packed, b.add(b.mul(at, LONG(6)), LONG(64 * i))), I32) for i in range(6)]
            start, constants = load(b, b.add(offset, at), I32), outputs.constants(at)
            full, here = _channels(b, g, groups, last)
            column = b.add(line, at)
            element = b.mul(g, LONG(16))

            def pixel(k: Any, columns: list[Any]) -> list[Any]:
                three = [*columns, load(b, b.add(column, b.mul(b.add(k, LONG(2)), step)), I32)]
                for i, row in enumerate((first, second)):
                    total = start
                    for j, values in enumerate(three):
                        total = dot4(b, total, values, weights[3 * i + j])
                    place = b.add(b.add(row, element), b.mul(k, width))
                    outputs.store([total], [constants], place, full, here)
                return three[1:]

            loop(b, ow, [load(b, column, I32), load(b, b.add(column, step), I32)], pixel)
            return []

        loop(b, groups, [], group)

    return kernel


def any_window(profile: int) -> Any:
    """Return the kernel of one line of outputs of any window, from ``quads`` lines of four rows each.

    It takes the record, where the columns of the first window start in the first line, and the number of the
    first element of the output. Weights are [group of 16 channels][line][column][16][4 rows].
    """

    @emitted(types.none, *(types.int64,) * 3)
    def kernel(b: Any, record: Any, line: Any, first: Any) -> None:
        outputs, groups, last = (
            Outputs(b, record, profile),
            field(b, record, "blocks"),
            last_channels(b, record),
        )
        packed, offset, ow, width = (field(b, record, n) for n in ("packed", "offset", "ow", "c_out"))
        lines, kw, stride, plane_w = (field(b, record, n) for n in ("quads", "kw", "stride_w", "plane_w"))
        step = b.mul(width, LONG(4))
        pixel_step, tap_step = b.mul(stride, step), b.mul(field(b, record, "dilation_w"), step)
        line_step, depth = b.mul(plane_w, step), b.mul(kw, LONG(64))

        def group(g: Any, _: list[Any]) -> list[Any]:
            at = b.mul(g, LONG(64))
            weights = b.add(packed, b.mul(b.mul(at, lines), kw))
            start, constants = load(b, b.add(offset, at), I32), outputs.constants(at)
            full, here = _channels(b, g, groups, last)
            element = b.add(first, b.mul(g, LONG(16)))

            def pixels(place: Any, count: int) -> None:
                columns = [
                    b.add(b.add(line, at), b.mul(b.add(place, LONG(p)), pixel_step)) for p in range(count)
                ]

                def row(i: Any, sums: list[Any]) -> list[Any]:
                    def tap(j: Any, sums: list[Any]) -> list[Any]:
                        w = load(b, b.add(weights, b.add(b.mul(i, depth), b.mul(j, LONG(64)))), I32)
                        away = b.add(b.mul(i, line_step), b.mul(j, tap_step))
                        return [
                            dot4(b, s, load(b, b.add(c, away), I32), w)
                            for s, c in zip(sums, columns, strict=True)
                        ]

                    return loop(b, kw, sums, tap)

                for p, total in enumerate(loop(b, lines, [start] * count, row)):
                    there = b.add(element, b.mul(b.add(place, LONG(p)), width))
                    outputs.store([total], [constants], there, full, here)

            along(b, ow, MANY, lambda k: pixels(k, MANY), lambda k: pixels(k, 1))
            return []

        loop(b, groups, [], group)

    return kernel


def _channels(b: Any, group: Any, groups: Any, last: Any) -> tuple[Any, Any]:
    """Emit whether a group has all 16 channels, and how many it has."""
    ends = b.icmp_signed("==", b.add(group, LONG(1)), groups)
    count = b.select(ends, last, LONG(16))
    return b.icmp_signed(">=", count, LONG(16)), count
