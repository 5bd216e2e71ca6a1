"""From a row of accumulators to a row of outputs, with clamp and mask bits."""

from __future__ import annotations

import numpy as np

from mcusim.kernels import simd
from mcusim.kernels.prepared import compiled

FLOAT, TFLITE, TINYENGINE, ACCUMULATOR = range(4)
"""Modes: the three arithmetic profiles, and int32 output."""


@compiled
def requantise_row(a, sums, row, extra):  # type: ignore[no-untyped-def]
    """Write one pixel's outputs: ``sums`` is the address of its int32 sums, ``row`` its number.

    ``a`` is a ``Weighted`` record; ``extra`` is added to every sum.
    """
    step = 4 if a.mode == ACCUMULATOR else 1
    y = a.y + row * a.c_out * step
    more = simd.splat_i32(np.int32(extra))
    zero = simd.splat_i32(np.int32(a.zero))
    low, high = simd.splat_i32(np.int32(a.low)), simd.splat_i32(np.int32(a.high))
    f_low = simd.splat_f32(np.float32(a.low - a.zero))
    f_high = simd.splat_f32(np.float32(a.high - a.zero))
    for c in range(0, a.c_out, 16):
        count = min(a.c_out - c, 16)
        at = 4 * c
        total = simd.load_i32(sums + at) + simd.load_i32(a.offset + at) + more
        bias = simd.load_i32(a.bias + at)
        bits = 0
        if a.mode == ACCUMULATOR:
            total = simd.saturating_add(total, bias) if a.wide else total + bias
            simd.store_i32_first(y + at, total, count)
            continue
        if a.mode == TFLITE:
            value = simd.rescale_fixed(
                total + bias, simd.load_i32(a.multiplier + at), simd.load_i32(a.shift + at)
            )
            value = value + zero
            bits = simd.inside_i32(value, low, high)
            value = simd.clamp_i32(value, low, high)
        else:
            real = simd.wide_sum_to_f32(total, bias) if a.wide else simd.to_f32(total + bias)
            real = real * simd.load_f32(a.factor + at)
            real = simd.rint(real) if a.mode == FLOAT else simd.trunc(real)
            bits = simd.inside_f32(real, f_low, f_high)
            value = simd.to_i32(simd.clamp_f32(real, f_low, f_high)) + zero
        if count == 16:
            simd.store_s8(y + c, value)
        else:
            simd.store_s8_first(y + c, value, count)
        if a.mask != 0:
            store_bits(a.mask, row * a.c_out + c, bits, count)


@compiled
def store_bits(mask, first, bits, count):  # type: ignore[no-untyped-def]
    """Store up to 16 mask bits at bit ``first``; earlier bits of the first byte stay, later ones go."""
    byte, shift = mask + (first >> 3), first & 7
    bits = (bits & ((1 << count) - 1)) << shift
    if shift:
        bits |= simd.byte_at(byte) & ((1 << shift) - 1)
    simd.store_byte(byte, bits)
    if shift + count > 8:
        simd.store_byte(byte + 1, bits >> 8)
    if shift + count > 16:
        simd.store_byte(byte + 2, bits >> 16)
