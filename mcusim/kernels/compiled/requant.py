"""From accumulators to outputs, with clamp and mask bits."""

from __future__ import annotations

import numpy as np

from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.prepared import array_at
from mcusim.kernels.vector import simd

FLOAT, TFLITE, TINYENGINE, ACCUMULATOR = range(4)
"""Modes: the three arithmetic profiles, and int32 output."""


@inner
def requantise(a, sums, stride, first, count):  # type: ignore[no-untyped-def]
    """Write the outputs of ``count`` pixels from number ``first`` on.

    Args:
        a: a ``Weighted`` record.
        sums: address of int32 sums, one row a pixel, ``stride`` bytes apart.
    """
    # Fields are passed as numbers: the compiler must assume that every store may change a record.
    at, step = first * a.c_out, 4 if a.mode == ACCUMULATOR else 1
    y, mask = a.y + at * step, a.mask
    for p in range(count):
        row, here = sums + p * stride, y + p * a.c_out * step
        bit = at + p * a.c_out
        if a.mode == TFLITE:
            _fixed(row, here, mask, bit, a.c_out, a.offset, a.multiplier, a.left_shift, a.right_shift,
                   a.zero, a.low, a.high)  # fmt: skip
        elif a.mode == ACCUMULATOR:
            _accumulators(row, here, a.c_out, a.offset, a.bias, a.wide)
        else:
            _real(row, here, mask, bit, a.c_out, a.offset, a.factor, a.bias, a.wide, a.mode, a.zero, a.low,
                  a.high)  # fmt: skip


@inner
def _fixed(sums, y, mask, bit, channels, offset, multiplier, left, right, zero, low, high):  # type: ignore[no-untyped-def]
    z = simd.splat_i32(np.int32(zero))
    bottom, top = simd.splat_i32(np.int32(low)), simd.splat_i32(np.int32(high))
    for c in range(0, channels, 16):
        at = 4 * c
        value = simd.rescale_fixed(
            simd.load_i32(sums + at) + simd.load_i32(offset + at),
            simd.load_i32(multiplier + at),
            simd.load_i32(left + at),
            simd.load_i32(right + at),
        )
        value = value + z
        if channels - c >= 16:
            simd.store_s8(y + c, simd.clamp_i32(value, bottom, top))
        else:
            simd.store_s8_first(y + c, simd.clamp_i32(value, bottom, top), channels - c)
        if mask != 0:
            store_bits(mask, bit + c, simd.inside_i32(value, bottom, top), min(channels - c, 16))


@inner
def _real(sums, y, mask, bit, channels, offset, factor, bias, wide, mode, zero, low, high):  # type: ignore[no-untyped-def]
    z = simd.splat_i32(np.int32(zero))
    bottom, top = simd.splat_f32(np.float32(low - zero)), simd.splat_f32(np.float32(high - zero))
    for c in range(0, channels, 16):
        at = 4 * c
        total = simd.load_i32(sums + at) + simd.load_i32(offset + at)
        real = simd.wide_sum_to_f32(total, simd.load_i32(bias + at)) if wide else simd.to_f32(total)
        real = real * simd.load_f32(factor + at)
        real = simd.rint(real) if mode == FLOAT else simd.trunc(real)
        value = simd.to_i32(simd.clamp_f32(real, bottom, top)) + z
        if channels - c >= 16:
            simd.store_s8(y + c, value)
        else:
            simd.store_s8_first(y + c, value, channels - c)
        if mask != 0:
            store_bits(mask, bit + c, simd.inside_f32(real, bottom, top), min(channels - c, 16))


@inner
def _accumulators(sums, y, channels, offset, bias, wide):  # type: ignore[no-untyped-def]
    for c in range(0, channels, 16):
        at = 4 * c
        total = simd.load_i32(sums + at) + simd.load_i32(offset + at)
        if wide:
            total = simd.saturating_add(total, simd.load_i32(bias + at))
        simd.store_i32_first(y + at, total, min(channels - c, 16))


@inner
def add_to_row(sums, blocks, extra):  # type: ignore[no-untyped-def]
    """Add one number to all sums of a pixel."""
    for at in range(0, 64 * blocks, 64):
        simd.store_i32(sums + at, simd.load_i32(sums + at) + simd.splat_i32(np.int32(extra)))


@inner
def place_bias(a, terms):  # type: ignore[no-untyped-def]
    """Copy the bias; add it to ``offset`` unless some sum of ``terms`` products and it exceeds 32 bits."""
    a.wide = 0
    if a.raw_bias == 0:
        return
    raw = array_at(a.raw_bias, a.c_out, np.int32)
    bias, offset = array_at(a.bias, a.c_out, np.int32), array_at(a.offset, a.c_out, np.int32)
    for c in range(a.c_out):
        bias[c] = raw[c]
    if not a.may_wrap:
        for c in range(a.c_out):
            if abs(np.int64(raw[c])) + 255 * 255 * terms >= 1 << 31:
                a.wide = 1
    if not a.wide:
        for c in range(a.c_out):
            offset[c] += raw[c]


@inner
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
