"""Tiles of int8 matrix products whose sums become outputs before they leave the registers.

A tile is ``rows`` pixels times a few blocks of 16 channels. It reads its constants through the record of
`kernels.compiled.fused`; what a field of it means is said there. Sums start at ``offset``, are rescaled and
clamped lane by lane, and are stored once. Every lane computes what the slow twins do, provided that no sum
reaches 2**30 and no product of a sum and its factor 2**29: whoever makes the record checks it.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from mcusim.kernels.vector.tiles import dot4, loop
from mcusim.kernels.vector.vectors import (
    BYTE,
    F32,
    I8,
    I32,
    LONG,
    WORD,
    call,
    constant,
    emitted,
    features,
    i32,
    load,
    pointer,
    splat,
    store,
)

FLOAT, TFLITE, TINYENGINE = range(3)
"""Profiles, as ``requant`` numbers them."""
MANY = 8
"""Pixels of a tile: with three blocks of channels, 24 sums, 3 weights and a factor fill 32 registers."""
FIELDS = (
    "x", "y", "mask", "workspace",
    # Weights as the kernel reads them; one int32 or float32 a channel, padded to whole blocks of 16.
    "packed", "offset", "factor", "rounding", "right",
    "low", "high", "zero", "z_x",
    "pixels", "c_in", "c_out", "blocks", "quads",
    "n", "h", "w", "oh", "ow", "kh", "kw", "stride_h", "stride_w", "dilation_h", "dilation_w", "top", "left",
    # Columns of a padded line or plane; whether the output lies on the input (see ``fused_record``).
    "plane_w", "overlaps",
    # Of learning ops: parameters as they are and as they were packed, bound on the bias, offsets without it,
    # how weights are packed; bound on sums without a bias, if larger biases may be brought nearer.
    "weight", "known", "raw_bias", "most_bias", "base", "layout", "row", "reach",
)  # fmt: skip
AT = {name: 8 * i for i, name in enumerate(FIELDS)}
"""Where each field of the record lies; all are int64."""
_WIDE = ir.VectorType(LONG, 8)


def field(b: Any, record: Any, name: str) -> Any:
    """Emit the load of a field."""
    return load(b, b.add(record, LONG(AT[name])), LONG)


def flipped(b: Any, address: Any) -> Any:
    """Emit four int8 as uint8 (each plus 128) in every lane."""
    quad = load(b, address, WORD)
    if "+avx512vnni" not in features():
        return splat(b, b.xor(quad, WORD(-0x7F7F7F80)))
    # LLVM 20 legalises the xor of a broadcast with a constant that meets vpdpbusd without end. It does not
    # see through this constant.
    sign = constant(I32, -0x7F7F7F80)
    return b.xor(splat(b, quad), b.asm(ir.FunctionType(I32, [I32]), "", "=v,0", [sign], False))


class Outputs:
    """Emits what follows the sums of 16 channels, for one profile."""

    def __init__(self, b: Any, record: Any, profile: int) -> None:
        self.b, self.record, self.profile = b, record, profile
        low, high = (b.trunc(field(b, record, name), WORD) for name in ("low", "high"))
        self.low, self.high = splat(b, low), splat(b, high)
        self.low8, self.high8 = (splat(b, b.trunc(v, BYTE)) for v in (low, high))
        self.zero = splat(b, b.trunc(field(b, record, "zero"), WORD))
        names = ("factor", "rounding", "right") if profile == TFLITE else ("factor",)
        self.rows = [field(b, record, name) for name in names]
        self.y, self.mask = field(b, record, "y"), field(b, record, "mask")
        self.masked = b.icmp_signed("!=", self.mask, LONG(0))

    def constants(self, at: Any) -> list[Any]:
        """Emit the loads of the constants of 16 channels; ``at`` is 4 times the number of the first."""
        kinds = [I32, I32, I32] if self.profile == TFLITE else [F32]
        return [load(self.b, self.b.add(row, at), kind) for row, kind in zip(self.rows, kinds, strict=True)]

    def values(self, total: Any, constants: list[Any]) -> Any:
        """Emit the outputs before the clamp, as int32."""
        b = self.b
        if self.profile == TFLITE:
            return _fixed(b, total, *constants)
        real = b.fmul(b.sitofp(total, F32), constants[0])
        if self.profile == TINYENGINE:
            return b.add(b.fptosi(real, I32), self.zero)
        if "+avx512f" in features():
            every = ir.Constant(ir.IntType(16), -1)
            name = "llvm.x86.avx512.mask.cvtps2dq.512"
            rounded = call(b, name, I32, real, constant(I32, 0), every, WORD(4))
        else:
            rounded = b.fptosi(call(b, "llvm.rint.v16f32", F32, real), I32)
        return b.add(rounded, self.zero)

    def clamped(self, values: Any) -> Any:
        """Emit the outputs as int8."""
        b = self.b
        # Narrowing with saturation is one instruction; the clamp then meets a quarter of the bytes.
        for symbol, bound in ((">", -128), ("<", 127)):
            bound = constant(I32, bound)
            values = b.select(b.icmp_signed(symbol, values, bound), values, bound)
        small = b.trunc(values, I8)
        small = b.select(b.icmp_signed(">", small, self.low8), small, self.low8)
        return b.select(b.icmp_signed("<", small, self.high8), small, self.high8)

    def store(self, sums: list[Any], constants: list[list[Any]], element: Any, full: Any, last: Any) -> None:
        """Emit the outputs of a pixel's blocks from ``element`` on; the last block has ``last`` channels."""
        b = self.b
        values = [self.values(s, c) for s, c in zip(sums, constants, strict=True)]
        end = len(values) - 1
        for n, value in enumerate(values):
            place = b.add(self.y, b.add(element, LONG(16 * n)))
            _store(b, self.clamped(value), place, full if n == end else None, last)
        with b.if_then(self.masked, likely=False):
            for n, value in enumerate(values):
                self.store_bits(value, b.add(element, LONG(16 * n)), last if n == end else LONG(16))

    def store_bits(self, values: Any, element: Any, count: Any) -> None:
        """Emit the store of the mask of ``count`` values, 8 or 16; ``element`` is a multiple of 8."""
        b = self.b
        inside = b.and_(b.icmp_signed(">=", values, self.low), b.icmp_signed("<=", values, self.high))
        bits = b.bitcast(inside, ir.IntType(16))
        at = b.add(self.mask, b.lshr(element, LONG(3)))
        with b.if_else(b.icmp_signed(">=", count, LONG(16))) as (both, one):
            with both:
                store(b, bits, at)
            with one:
                store(b, b.trunc(bits, BYTE), at)


def _fixed(b: Any, total: Any, multiplier: Any, rounding: Any, right: Any) -> Any:
    """TFLite's double rounding for multipliers below a half (1 <= right <= 22) and sums below 2**30.

    ``rescale_fixed`` in fewer operations. h = (total * multiplier + 2**30) >> 31 is the upper word of
    2 * total * multiplier + 2**31. Then TFLite divides h by 2**right and rounds half away from zero, which is
    (h + 2**(right - 1) - (h < 0)) >> right; ``rounding`` is 2**(right - 1) + (zero point << right), so that
    the zero point comes for free. Neither sum leaves 32 bits.
    """
    word, half = constant(_WIDE, 32), constant(_WIDE, 1 << 31)
    x, m = (b.bitcast(v, _WIDE) for v in (b.add(total, total), multiplier))
    even = b.add(b.mul(*(b.ashr(b.shl(v, word), word) for v in (x, m))), half)
    odd = b.add(b.mul(*(b.ashr(v, word) for v in (x, m))), half)
    lanes = [i + 16 * (i % 2) + (1 - i % 2) for i in range(16)]
    high = b.shuffle_vector(b.bitcast(even, I32), b.bitcast(odd, I32), ir.Constant(I32, lanes))
    negative = b.ashr(high, constant(I32, 31))
    return b.ashr(b.add(b.add(high, rounding), negative), right)


@emitted(i32, i32, i32, i32, i32)
def fixed(b: Any, total: Any, multiplier: Any, rounding: Any, right: Any) -> Any:
    """``_fixed`` for kernels that sum by themselves."""
    return _fixed(b, total, multiplier, rounding, right)


def tile(
    b: Any, record: Any, pixels: int, blocks: int, profile: int, x: Any, x_step: Any, row_step: Any,
    krows: Any, block: Any, element: Any, y_step: Any, last: Any, *, flip: bool,
) -> None:  # fmt: skip
    """Emit y[p][c] = outputs of offset[c] + Σ over ``krows`` rows of Σ_k x[p][row][k] * w[c][row][k].

    Args:
        b, record: builder, and the address of the record.
        pixels, blocks, profile: of the tile.
        x, x_step, row_step: address of the first pixel; bytes from pixel to pixel, and from row to row.
        krows: rows of each pixel.
        block: the first block of channels.
        element, y_step: number of the first element of the output, elements from pixel to pixel.
        last: channels of the last block.
        flip: x is int8, and not flipped to uint8 already.
    """
    quads = field(b, record, "quads")
    depth = b.mul(quads, LONG(64))
    width = b.mul(depth, krows)
    packed = b.add(field(b, record, "packed"), b.mul(block, width))
    at = b.mul(block, LONG(64))
    offsets = b.add(field(b, record, "offset"), at)
    rows = [b.add(x, b.mul(x_step, LONG(p))) for p in range(pixels)]
    columns = [b.add(packed, b.mul(width, LONG(n))) for n in range(blocks)]

    def row(i: Any, sums: list[Any]) -> list[Any]:
        here = [b.add(r, b.mul(i, row_step)) for r in rows]
        weights = [b.add(c, b.mul(i, depth)) for c in columns]

        def step(k: Any, sums: list[Any]) -> list[Any]:
            w = [load(b, b.add(c, b.mul(k, LONG(64))), I32) for c in weights]
            new = []
            for p in range(pixels):
                place = b.add(here[p], b.mul(k, LONG(4)))
                quad = flipped(b, place) if flip else splat(b, load(b, place, WORD))
                new += [dot4(b, sums[p * blocks + n], quad, w[n]) for n in range(blocks)]
            return new

        return loop(b, quads, sums, step)

    start = [load(b, b.add(offsets, LONG(64 * n)), I32) for n in range(blocks)]
    sums = loop(b, krows, start * pixels, row)
    outputs = Outputs(b, record, profile)
    constants = [outputs.constants(b.add(at, LONG(64 * n))) for n in range(blocks)]
    full = b.icmp_signed(">=", last, LONG(16))
    for p in range(pixels):
        first = b.add(element, b.mul(y_step, LONG(p)))
        outputs.store(sums[p * blocks : (p + 1) * blocks], constants, first, full, last)


def pixel(
    b: Any, record: Any, profile: int, x: Any, row_step: Any, krows: Any, element: Any, *, flip: bool
) -> None:
    """Emit all channels of one pixel, four blocks at a time as long as there are four."""
    blocks, last = field(b, record, "blocks"), last_channels(b, record)

    def run(first: Any, count: Any, size: int) -> None:
        def body(k: Any, _: list[Any]) -> list[Any]:
            block = b.add(first, b.mul(k, LONG(size)))
            ends = b.icmp_signed("==", b.add(block, LONG(size)), blocks)
            channels = b.select(ends, last, LONG(16))
            at = b.add(element, b.mul(block, LONG(16)))
            tile(
                b,
                record,
                1,
                size,
                profile,
                x,
                LONG(0),
                row_step,
                krows,
                block,
                at,
                LONG(0),
                channels,
                flip=flip,
            )
            return []

        loop(b, count, [], body)

    fours = b.lshr(blocks, LONG(2))
    run(LONG(0), fours, 4)
    run(b.mul(fours, LONG(4)), b.and_(blocks, LONG(3)), 1)


def many(
    b: Any, record: Any, profile: int, x: Any, x_step: Any, row_step: Any, krows: Any, element: Any, *,
    flip: bool,
) -> None:  # fmt: skip
    """Emit all channels of ``MANY`` pixels, three blocks at a time, or two rather than a single one."""
    blocks, last = field(b, record, "blocks"), last_channels(b, record)
    y_step = field(b, record, "c_out")
    triples, rest = b.udiv(blocks, LONG(3)), b.urem(blocks, LONG(3))
    lone = b.and_(b.icmp_signed("==", rest, LONG(1)), b.icmp_signed(">", triples, LONG(0)))
    one = b.zext(lone, LONG)
    triples = b.sub(triples, one)
    doubles = b.add(b.mul(one, LONG(2)), b.zext(b.icmp_signed("==", rest, LONG(2)), LONG))
    singles = b.sub(b.zext(b.icmp_signed("==", rest, LONG(1)), LONG), one)
    first = LONG(0)
    for count, size in ((triples, 3), (doubles, 2), (singles, 1)):

        def body(k: Any, _: list[Any], first: Any = first, size: int = size) -> list[Any]:
            block = b.add(first, b.mul(k, LONG(size)))
            ends = b.icmp_signed("==", b.add(block, LONG(size)), blocks)
            channels = b.select(ends, last, LONG(16))
            at = b.add(element, b.mul(block, LONG(16)))
            tile(
                b, record, MANY, size, profile, x, x_step, row_step, krows, block, at, y_step, channels,
                flip=flip,
            )  # fmt: skip
            return []

        loop(b, count, [], body)
        first = b.add(first, b.mul(count, LONG(size)))


def last_channels(b: Any, record: Any) -> Any:
    """Emit the number of channels in the last block."""
    before = b.mul(b.sub(field(b, record, "blocks"), LONG(1)), LONG(16))
    return b.sub(field(b, record, "c_out"), before)


def along(b: Any, count: Any, size: int, several: Any, single: Any) -> None:
    """Emit ``count`` pixels: ``several(first)`` for ``size`` at a time; ``single(first)`` if there are fewer.

    The last ``size`` may compute once more what the ones before them did.
    """
    enough = b.icmp_signed(">=", count, LONG(size))
    turns = b.select(enough, b.udiv(b.add(count, LONG(size - 1)), LONG(size)), LONG(0))

    def whole(k: Any, _: list[Any]) -> list[Any]:
        first, end = b.mul(k, LONG(size)), b.sub(count, LONG(size))
        several(b.select(b.icmp_signed("<", first, end), first, end))
        return []

    def alone(k: Any, _: list[Any]) -> list[Any]:
        single(k)
        return []

    loop(b, turns, [], whole)
    loop(b, b.select(enough, LONG(0), count), [], alone)


def pointwise(profile: int) -> Any:
    """Return the kernel of rows of ``c_in`` int8, a multiple of 4, times the weights."""

    @emitted(types.none, types.int64)
    def kernel(b: Any, record: Any) -> None:
        x, depth, width = (field(b, record, name) for name in ("x", "c_in", "c_out"))

        def place(first: Any) -> tuple[Any, Any]:
            return b.add(x, b.mul(first, depth)), b.mul(first, width)

        def eight(first: Any) -> None:
            here, element = place(first)
            many(b, record, profile, here, depth, LONG(0), LONG(1), element, flip=True)

        def single(first: Any) -> None:
            here, element = place(first)
            pixel(b, record, profile, here, LONG(0), LONG(1), element, flip=True)

        along(b, field(b, record, "pixels"), MANY, eight, single)

    return kernel


def window_line(profile: int) -> Any:
    """Return the kernel of a line of ``ow`` windows: of the record, the first byte, and the first element."""

    @emitted(types.none, types.int64, types.int64, types.int64)
    def kernel(b: Any, record: Any, x: Any, element: Any) -> None:
        c_in, width = field(b, record, "c_in"), field(b, record, "c_out")
        step = b.mul(field(b, record, "stride_w"), c_in)
        row = b.mul(b.mul(field(b, record, "plane_w"), c_in), field(b, record, "dilation_h"))
        krows = field(b, record, "kh")

        def place(first: Any) -> tuple[Any, Any]:
            return b.add(x, b.mul(first, step)), b.add(element, b.mul(first, width))

        def eight(first: Any) -> None:
            here, at = place(first)
            many(b, record, profile, here, step, row, krows, at, flip=False)

        def single(first: Any) -> None:
            here, at = place(first)
            pixel(b, record, profile, here, row, krows, at, flip=False)

        along(b, field(b, record, "ow"), MANY, eight, single)

    return kernel


def _store(b: Any, value: Any, address: Any, full: Any, count: Any) -> None:
    """Emit the store of 16 bytes, or of the first ``count`` of them unless ``full``."""
    if full is None:
        store(b, value, address)
        return
    with b.if_else(full) as (all_, some):
        with all_:
            store(b, value, address)
        with some:
            lanes = b.icmp_signed("<", ir.Constant(I32, list(range(16))), splat(b, b.trunc(count, WORD)))
            where = pointer(b, address, I8)
            call(b, "llvm.masked.store.v16i8.p0", ir.VoidType(), value, where, WORD(1), lanes)
