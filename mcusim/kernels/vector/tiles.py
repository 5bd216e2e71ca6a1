"""The innermost loops of matrix products, blocked so that sums stay in registers.

A tile holds ``PIXELS`` rows times a few vectors of 16 columns of sums. Every step of its loop loads each
row's next factors once and each vector of weights once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from mcusim.kernels.vector.vectors import (
    FLOAT,
    I32,
    LANES,
    LONG,
    WORD,
    call,
    constant,
    dot2,
    emitted,
    features,
    load,
    splat,
    store,
)

PIXELS = 8
"""Rows of an int8 tile: with three vectors of columns, 24 sums, 3 weights and a factor fill 32 registers."""
SUMS = 16
"""Most rows of a float tile."""
SUMS_HELD = {16: 16, 8: 8, 4: 16}
"""Float sums that registers of so many lanes hold beside what is multiplied: AVX-512, AVX2, NEON."""
QUAD = 4
"""Bytes a lane multiplies and sums in one step of an int8 tile."""
_HALVES = ir.VectorType(ir.IntType(16), 32)
_BYTES = ir.VectorType(ir.IntType(8), 64)


def _parts(lanes: int = LANES) -> list[tuple[Any, int]]:
    """Return the parts of so many float32 that fill a register each: type, and the byte where it begins."""
    known = features()
    width = min(lanes, 16 if "+avx512f" in known else 8 if "+avx" in known else 4)
    return [(ir.VectorType(FLOAT, width), 4 * first) for first in range(0, lanes, width)]


def loop(b: Any, count: Any, start: list[Any], body: Callable[[Any, list[Any]], list[Any]]) -> list[Any]:
    """Emit ``for i in range(count): values = body(i, values)`` with the values in registers."""
    before = b.block
    head, inner, after = (b.append_basic_block(n) for n in ("tile", "tile.body", "tile.end"))
    b.branch(head)
    b.position_at_end(head)
    index = b.phi(LONG)
    values = [b.phi(v.type) for v in start]
    b.cbranch(b.icmp_signed("<", index, count), inner, after)
    b.position_at_end(inner)
    results = body(index, values)
    following = b.add(index, LONG(1))
    b.branch(head)
    for phi, first, next_ in zip([index, *values], [LONG(0), *start], [following, *results], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(next_, b.block)
    b.position_at_end(after)
    return values


def dot4(b: Any, total: Any, x: Any, w: Any) -> Any:
    """Emit total[lane] += Σ of four products of uint8 ``x`` and int8 ``w`` (16 lanes of four bytes).

    By the instruction that the processor has for it (AVX-512 VNNI, AVX-VNNI, and on Arm I8MM, or DotProd,
    which knows signed bytes alone), or else in 16 bits; no sum saturates, so all give the same integers.
    """
    known = features()
    if "+avx512vnni" in known:
        return call(b, "llvm.x86.avx512.vpdpbusd.512", I32, total, x, w)
    if "+avxvnni" in known:
        return _in_parts(
            b, 8, lambda *part: call(b, "llvm.x86.avx512.vpdpbusd.256", part[0].type, *part), total, x, w
        )
    if "+i8mm" in known:
        return _in_parts(b, 4, lambda *part: _on_arm(b, "usdot", *part), total, x, w)
    if "+dotprod" in known:

        def signed(total: Any, x: Any, w: Any) -> Any:
            # x = (x - 128) + 64 + 64
            flipped = b.xor(x, constant(x.type, -0x7F7F7F80))
            half = constant(x.type, 0x40404040)
            for factor in (flipped, half, half):
                total = _on_arm(b, "sdot", total, factor, w)
            return total

        return _in_parts(b, 4, signed, total, x, w)
    eight, low = constant(_HALVES, 8), constant(_HALVES, 255)
    x, w = b.bitcast(x, _HALVES), b.bitcast(w, _HALVES)
    even = dot2(b, b.and_(x, low), b.ashr(b.shl(w, eight), eight))
    odd = dot2(b, b.lshr(x, eight), b.ashr(w, eight))
    return b.add(total, b.add(even, odd))


def _in_parts(b: Any, lanes: int, body: Callable[..., Any], *values: Any) -> Any:
    """Emit ``body`` on parts of so many lanes of vectors of 16 int32; return the parts joined."""

    def picked(one: Any, other: Any, first: int, count: int) -> Any:
        kind = ir.VectorType(WORD, count)
        return b.shuffle_vector(one, other, ir.Constant(kind, list(range(first, first + count))))

    parts = [
        body(*(picked(v, ir.Constant(v.type, ir.Undefined), first, lanes) for v in values))
        for first in range(0, LANES, lanes)
    ]
    while len(parts) > 1:
        count = 2 * parts[0].type.count
        parts = [picked(parts[i], parts[i + 1], 0, count) for i in range(0, len(parts), 2)]
    return parts[0]


def _on_arm(b: Any, name: str, total: Any, x: Any, w: Any) -> Any:
    """Emit one of Arm's products of four bytes in each of four lanes."""
    bytes_ = ir.VectorType(ir.IntType(8), 16)
    return call(
        b,
        f"llvm.aarch64.neon.{name}.v4i32.v16i8",
        total.type,
        total,
        b.bitcast(x, bytes_),
        b.bitcast(w, bytes_),
    )


def _dot_tile(blocks: int) -> Any:
    """Int8 tile: sums[p][c] = Σ_k x[p][k] * w[c][k], x uint8, w int8."""

    @emitted(types.none, *(types.int64,) * 7)
    def tile(
        b: Any, x: Any, x_stride: Any, w: Any, w_stride: Any, steps: Any, out: Any, out_stride: Any
    ) -> None:
        rows = [b.add(x, b.mul(x_stride, LONG(p))) for p in range(PIXELS)]
        columns = [b.add(w, b.mul(w_stride, LONG(n))) for n in range(blocks)]

        def step(k: Any, sums: list[Any]) -> list[Any]:
            at = b.mul(k, LONG(64))
            weights = [load(b, b.add(c, at), I32) for c in columns]
            new = []
            for p, row in enumerate(rows):
                quad = splat(b, load(b, b.add(row, b.mul(k, LONG(QUAD))), WORD))
                new += [dot4(b, sums[p * blocks + n], quad, weights[n]) for n in range(blocks)]
            return new

        sums = loop(b, steps, [constant(I32, 0)] * (PIXELS * blocks), step)
        for i, total in enumerate(sums):
            at = b.add(b.mul(out_stride, LONG(i // blocks)), LONG(64 * (i % blocks)))
            store(b, total, b.add(out, at))

    return tile


def _sum_tile(rows: int, lanes: int) -> Any:
    """Float tile of so many rows and columns: sums[p][c] += Σ_k a[p][k] * w[k][c].

    k ascends, and every operation is rounded to float32. With ``fresh`` other than 0 the sums start from
    zero, whatever lies where they are going to. One vector of columns is best: LLVM then takes each factor
    from memory as it multiplies, and 12 rows or more keep the multipliers busy in every cycle. Where the
    registers do not hold as many sums, parts of the tile follow each other.
    """

    @emitted(types.none, *(types.int64,) * 9)
    def tile(
        b: Any, a: Any, a_row: Any, a_step: Any, w: Any, w_step: Any, steps: Any, out: Any, out_stride: Any,
        fresh: Any,
    ) -> None:  # fmt: skip
        adds = b.icmp_signed("==", fresh, LONG(0))
        for kind, at in _parts(lanes):
            for first in range(0, rows, SUMS_HELD[kind.count]):
                held = range(first, min(first + SUMS_HELD[kind.count], rows))
                _part_of_tile(b, kind, at, held, adds, a, a_row, a_step, w, w_step, steps, out, out_stride)

    return tile


def _part_of_tile(
    b: Any, kind: Any, at: int, rows: range, adds: Any, a: Any, a_row: Any, a_step: Any, w: Any, w_step: Any,
    steps: Any, out: Any, out_stride: Any,
) -> None:  # fmt: skip
    """Emit some rows of a float tile, of the columns from byte ``at`` on."""
    starts = [b.add(a, b.mul(a_row, LONG(p))) for p in rows]
    places = [b.add(b.add(out, LONG(at)), b.mul(out_stride, LONG(p))) for p in rows]
    w = b.add(w, LONG(at))

    def step(k: Any, sums: list[Any]) -> list[Any]:
        weights = load(b, b.add(w, b.mul(k, w_step)), kind)
        here = b.mul(k, a_step)
        factors = [splat(b, load(b, b.add(start, here), FLOAT), kind.count) for start in starts]
        return [b.fadd(total, b.fmul(f, weights)) for total, f in zip(sums, factors, strict=True)]

    for total, place in zip(loop(b, steps, _begun(b, adds, places, kind), step), places, strict=True):
        store(b, total, place)


def _begun(b: Any, adds: Any, places: list[Any], kind: Any) -> list[Any]:
    """Emit what sums start from: what lies at their places, or zeros, and then nothing is read there."""
    with b.if_else(adds) as (old, new):
        with old:
            loaded, before = [load(b, place, kind) for place in places], b.block
        with new:
            zeros, empty = constant(kind, 0.0), b.block
    found = [b.phi(kind) for _ in places]
    for phi, value in zip(found, loaded, strict=True):
        phi.add_incoming(value, before)
        phi.add_incoming(zeros, empty)
    return found


dot_tile_1, dot_tile_2, dot_tile_3 = (_dot_tile(blocks) for blocks in (1, 2, 3))
sum_16, sum_8, sum_4 = (_sum_tile(rows, LANES) for rows in (16, 8, 4))
half_16, half_8, half_4 = (_sum_tile(rows, LANES // 2) for rows in (16, 8, 4))


@emitted(types.none, *(types.int64,) * 6)
def slide_three(b: Any, g: Any, line: Any, step: Any, w: Any, out: Any, count: Any) -> None:
    """Sums of 3x3 taps for ``count`` pixels of 16 channels, taps ascending, every operation rounded.

    Tap (i, j) of the first pixel lies at ``g - i * line - j * step``, its weights at
    ``w + (3 i + j) * step``; columns are loaded once and slide along.
    """
    for kind, at in _parts():
        _slide_lanes(b, kind, b.add(g, LONG(at)), line, step, b.add(w, LONG(at)), b.add(out, LONG(at)), count)


def _slide_lanes(
    b: Any, kind: Any, g: Any, line: Any, step: Any, w: Any, out: Any, count: Any
) -> None:  # fmt: skip
    weights = [load(b, b.add(w, b.mul(step, LONG(tap))), kind) for tap in range(9)]
    rows = [b.sub(g, b.mul(line, LONG(i))) for i in range(3)]
    before = [load(b, b.sub(row, b.mul(step, LONG(j))), kind) for row in rows for j in (2, 1)]

    def pixel(k: Any, columns: list[Any]) -> list[Any]:
        at = b.mul(k, step)
        total, following = constant(kind, 0.0), []
        for i, row in enumerate(rows):
            two, one = columns[2 * i : 2 * i + 2]
            here = load(b, b.add(row, at), kind)
            for j, column in enumerate((here, one, two)):
                total = b.fadd(total, b.fmul(column, weights[3 * i + j]))
            following += [one, here]
        store(b, total, b.add(out, at))
        return following

    loop(b, count, before, pixel)


def _tap_tile(pixels: int) -> Any:
    """Sums of the same taps for so many pixels of 16 channels, taps ascending, every operation rounded."""

    @emitted(types.none, *(types.int64,) * 7)
    def tile(
        b: Any, taps: Any, count: Any, c: Any, first: Any, step: Any, out: Any, out_step: Any
    ) -> None:  # fmt: skip
        """``taps`` holds for each where the factors of a line and its weights lie, int64 each.

        ``c`` and ``first`` are the bytes to the channels, and to the first pixel.
        """
        for kind, at in _parts():

            def tap(k: Any, sums: list[Any], kind: Any = kind, at: int = at) -> list[Any]:
                entry, here = b.add(taps, b.mul(k, LONG(16))), b.add(c, LONG(at))
                g, w = (b.add(load(b, b.add(entry, LONG(n)), LONG), here) for n in (0, 8))
                g, weights = b.add(g, first), load(b, w, kind)
                rows = [load(b, b.add(g, b.mul(step, LONG(p))), kind) for p in range(pixels)]
                return [b.fadd(total, b.fmul(row, weights)) for total, row in zip(sums, rows, strict=True)]

            for p, total in enumerate(loop(b, count, [constant(kind, 0.0)] * pixels, tap)):
                store(b, total, b.add(out, b.add(b.mul(out_step, LONG(p)), LONG(at))))

    return tile


taps_8, taps_4, taps_1 = (_tap_tile(pixels) for pixels in (8, 4, 1))


def _window_sums(rows: int, columns: int) -> Any:
    """What so many taps add to the gradients of 16 weights each: Σ x * g, pixels ascending."""

    @emitted(types.none, *(types.int64,) * 11)
    def sums_of(
        b: Any, g: Any, g_step: Any, x: Any, x_step: Any, x_line: Any, tap_line: Any, tap_step: Any,
        lines: Any, pixels: Any, out: Any, fresh: Any,
    ) -> None:  # fmt: skip
        """Of ``lines`` lines of ``pixels`` pixels; ``out`` holds a vector for each tap."""
        adds = b.icmp_signed("==", fresh, LONG(0))
        for kind, at in _parts():
            lanes_of(
                b, kind, LONG(at), adds, g, g_step, x, x_step, x_line, tap_line, tap_step, lines, pixels, out
            )

    def lanes_of(
        b: Any, kind: Any, at: Any, adds: Any, g: Any, g_step: Any, x: Any, x_step: Any, x_line: Any,
        tap_line: Any, tap_step: Any, lines: Any, pixels: Any, out: Any,
    ) -> None:  # fmt: skip
        g, x, out = b.add(g, at), b.add(x, at), b.add(out, at)
        taps = [(i, j) for i in range(rows) for j in range(columns)]
        shifts = [b.add(b.mul(tap_line, LONG(i)), b.mul(tap_step, LONG(j))) for i, j in taps]
        places = [b.add(out, LONG(64 * n)) for n in range(len(taps))]

        def line(i: Any, sums: list[Any]) -> list[Any]:
            first = b.add(x, b.mul(i, x_line))
            starts = [b.add(first, shift) for shift in shifts]
            own = b.add(g, b.mul(b.mul(i, pixels), g_step))

            def pixel(k: Any, sums: list[Any]) -> list[Any]:
                error, here = load(b, b.add(own, b.mul(k, g_step)), kind), b.mul(k, x_step)
                met = [load(b, b.add(start, here), kind) for start in starts]
                return [b.fadd(total, b.fmul(each, error)) for total, each in zip(sums, met, strict=True)]

            return loop(b, pixels, sums, pixel)

        for total, place in zip(loop(b, lines, _begun(b, adds, places, kind), line), places, strict=True):
            store(b, total, place)

    return sums_of


window_3, line_7, line_5, tap_1 = (_window_sums(*size) for size in ((3, 3), (1, 7), (1, 5), (1, 1)))
