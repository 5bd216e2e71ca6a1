"""Rows of error tensors: from their storage format to float32 and back."""

from __future__ import annotations

import numpy as np

from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.prepared import array_at
from mcusim.kernels.vector import error_rows, simd

FLOAT32, INT16, INT8 = 4, 2, 1
"""What the kernels call the formats of ``number_formats.errors``: their bytes an element."""
STATISTICS_BYTES = 128
"""16 float32 largest magnitudes, then the number of saturated elements."""


@inner
def mask_bits(mask, count, first):  # type: ignore[no-untyped-def]
    """Return at least 16 mask bits from bit ``first`` on; ``mask`` has ``count`` bytes."""
    byte = first >> 3
    last = count - 1
    if byte + 4 <= count:
        return simd.int32_at(mask + byte) >> (first & 7)
    bits = simd.byte_at(mask + byte)
    bits |= simd.byte_at(mask + min(byte + 1, last)) << 8
    bits |= simd.byte_at(mask + min(byte + 2, last)) << 16
    return bits >> (first & 7)


@inner
def load_values(g, format, index, count):  # type: ignore[no-untyped-def]
    """Return ``count`` (at most 16) stored numbers as float32, the rest zero."""
    at = g + index * format
    if format == FLOAT32 and count >= 16:
        return simd.load_f32(at)
    if format == FLOAT32:
        return simd.load_f32_first(at, count)
    if format == INT16:
        return simd.to_f32(simd.load_s16_first(at, count))
    return simd.to_f32(simd.load_s8_first(at, count))


@inner
def whole_blocks(mask, channels):  # type: ignore[no-untyped-def]
    """Return the blocks of 16 channels that `error_rows` can load."""
    return 0 if mask != 0 and channels & 7 != 0 else channels >> 4


@inner
def load_row(a, scale, pixel, row):  # type: ignore[no-untyped-def]
    """Write ga = (g * scale, 0 where the clamp acted) * factor of one output pixel to ``row``."""
    load_pixels(a, scale, pixel, 1, row, 0)


@inner
def load_pixels(a, scale, pixel, count, row, step):  # type: ignore[no-untyped-def]
    """Write ga of ``count`` output pixels, ``step`` bytes from row to row.

    ``a`` has g, g_format, mask, mask_bytes, factor and c_out; rows are padded to 16 channels with zeros.
    """
    unit = simd.splat_f32(np.float32(scale))
    # Fields are passed as numbers: the compiler must assume that every store may change a record.
    g, format, mask, last, factor, channels = a.g, a.g_format, a.mask, a.mask_bytes, a.factor, a.c_out
    whole = whole_blocks(mask, channels)
    if whole != 0:
        first = pixel * channels
        bits = mask + (first >> 3) if mask != 0 else 0
        at = g + first * format
        error_rows.load_blocks(at, format, unit, bits, factor, row, step, channels, count, whole)
    for c in range(16 * whole, channels, 16):
        few, own = min(channels - c, 16), simd.load_f32(factor + 4 * c)
        for k in range(count):
            index = (pixel + k) * channels + c
            value = load_values(g, format, index, few) * unit
            if mask != 0:
                value = simd.where(mask_bits(mask, last, index), value)
            simd.store_f32(row + k * step + 4 * c, value * own)


@inner
def add_pixels(row, step, count, channels, sums):  # type: ignore[no-untyped-def]
    """Add ga of ``count`` pixels, as ``load_pixels`` wrote it, to ``sums`` of a bias, unless that is 0.

    Every sum begins at zero and pixels come once each, ascending: the order that `grad_parameters` has.
    """
    blocks, block = (channels + 15) >> 4 if sums != 0 else 0, 0
    while block < blocks:
        at, to = row + 64 * block, sums + 64 * block
        if blocks - block >= error_rows.MANY:
            error_rows.add_many(at, step, count, to)
            block += error_rows.MANY
        else:
            error_rows.add_one(at, step, count, to)
            block += 1


@inner
def begin_bias(a):  # type: ignore[no-untyped-def]
    """Set the sums of a bias's gradient to zero; return where they are, or 0 if nobody wants them."""
    if a.bias == 0:
        return 0
    for c in range(0, a.c_out, 16):
        simd.store_f32(a.bias_sums + 4 * c, simd.splat_f32(np.float32(0)))
    return a.bias_sums


@inner
def end_bias(a):  # type: ignore[no-untyped-def]
    """Write the gradient of a bias where it goes."""
    for c in range(0, a.c_out if a.bias != 0 else 0, 16):
        few = min(a.c_out - c, 16)
        simd.store_f32_first(a.bias + 4 * c, simd.load_f32(a.bias_sums + 4 * c), few)


@inner
def load_block(a, scale, pixel, count, c, row):  # type: ignore[no-untyped-def]
    """Write ga of 16 channels, from ``c`` on, of ``count`` output pixels, one vector after the other."""
    unit = simd.splat_f32(np.float32(scale))
    g, format, mask, last, factor, channels = a.g, a.g_format, a.mask, a.mask_bytes, a.factor + 4 * c, a.c_out
    first = pixel * channels + c
    if c < 16 * whole_blocks(mask, channels):
        bits = mask + (first >> 3) if mask != 0 else 0
        error_rows.load_blocks(g + first * format, format, unit, bits, factor, row, 64, channels, count, 1)
        return
    few, own = min(channels - c, 16), simd.load_f32(factor)
    for k in range(count):
        index = first + k * channels
        value = load_values(g, format, index, few) * unit
        if mask != 0:
            value = simd.where(mask_bits(mask, last, index), value)
        simd.store_f32(row + 64 * k, value * own)


@inner
def store_row(g, format, scale, accumulate, index, count, row, statistics):  # type: ignore[no-untyped-def]
    """Store ``count`` float32 values at element ``index``, rounding half to even and saturating.

    Values beyond ``count`` in the last 16 must be zero.
    """
    unit, inverse = simd.splat_f32(np.float32(scale)), simd.splat_f32(np.float32(1.0 / scale))
    whole = 0
    if format != FLOAT32:
        whole = count >> 4
        add = int(accumulate != 0)
        error_rows.store_blocks(g + index * format, format, unit, inverse, add, row, whole, statistics)
    top = simd.splat_f32(np.float32(127 if format == INT8 else 32767))
    bottom = simd.splat_f32(np.float32(-127 if format == INT8 else -32767))
    for c in range(16 * whole, count, 16):
        few = min(count - c, 16)
        value = simd.load_f32(row + 4 * c)
        if accumulate:
            value = load_values(g, format, index + c, few) * unit + value
        if format == FLOAT32 and few == 16:
            simd.store_f32(g + 4 * (index + c), value)
            continue
        if format == FLOAT32:
            simd.store_f32_first(g + 4 * (index + c), value, few)
            continue
        simd.store_f32(statistics, simd.larger(simd.magnitude(value), simd.load_f32(statistics)))
        rounded = simd.rint(value * inverse)
        inside = simd.inside_f32(rounded, bottom, top)
        array_at(statistics + 64, 1, np.int64)[0] += 16 - simd.ones(inside)
        integers = simd.to_i32(simd.clamp_f32(rounded, bottom, top))
        if format == INT16:
            simd.store_s16_first(g + 2 * (index + c), integers, few)
        else:
            simd.store_s8_first(g + index + c, integers, few)


@inner
def clear_statistics(statistics):  # type: ignore[no-untyped-def]
    """Set them to zero."""
    for i in range(0, STATISTICS_BYTES, 64):
        simd.store_f32(statistics + i, simd.splat_f32(np.float32(0)))


@inner
def read_statistics(statistics):  # type: ignore[no-untyped-def]
    """Return (saturated elements, largest magnitude)."""
    peaks = array_at(statistics, 16, np.float32)
    peak = peaks[0]
    for i in range(1, 16):
        # A NaN stays, as it is the largest of numpy.
        peak = peaks[i] if peaks[i] > peak or peaks[i] != peaks[i] else peak
    return array_at(statistics + 64, 1, np.int64)[0], np.float64(peak)
