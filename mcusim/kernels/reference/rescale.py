"""Rescaling of accumulators in the arithmetic profiles, and storing with clamp and mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic
from mcusim.kernels.arrays import Array
from mcusim.kernels.scales import Rescaling

INT32 = 1 << 31
FAR = 2.0**40
"""Beyond every clamp, and still an exact int64."""


def wrap(values: Array) -> Array:
    """Return what is left of the values in a 32-bit register."""
    return (values + INT32) % (2 * INT32) - INT32


def doubling_high_mul(a: Array | int, b: Array | int) -> Array:
    """SaturatingRoundingDoublingHighMul of gemmlowp: round(a * b / 2**31), ties towards plus infinity.

    gemmlowp adds 2**30 or 1 - 2**30 by sign and truncates; that equals one floor division. The only
    case that saturates, both factors -2**31, cannot occur: multipliers are positive.
    """
    product: Array = (a * np.asarray(b, np.int64) + (1 << 30)) >> 31
    return product


def divide_by_power_of_two(x: Array, exponent: Array | int) -> Array:
    """RoundingDivideByPOT of gemmlowp: round half away from zero."""
    bits = np.asarray(exponent, np.int64)
    mask = (np.int64(1) << bits) - 1
    threshold = (mask >> 1) + (x < 0)
    rounded: Array = (x >> bits) + ((x & mask) > threshold)
    return rounded


def multiply_by_quantized(
    x: Array, multiplier: NDArray[np.int32] | int, shift: NDArray[np.int32] | int
) -> Array:
    """TFLite's MultiplyByQuantizedMultiplier with double rounding; int32 in, int32 out."""
    shift = np.asarray(shift, np.int64)
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    high = doubling_high_mul(wrap(x << left), np.asarray(multiplier, np.int64))
    return divide_by_power_of_two(high, right)


def multiply_wide(x: Array, multiplier: NDArray[np.int32] | int, shift: NDArray[np.int32] | int) -> Array:
    """TFLite's MultiplyByQuantizedMultiplier of int64: by the upper 16 bits of the multiplier."""
    whole = np.asarray(multiplier, np.int64)
    reduced = np.where(whole < 0x7FFF0000, (whole + (1 << 15)) >> 16, 0x7FFF)
    total = 15 - np.asarray(shift, np.int64)
    rounded: Array = (x * reduced + (np.int64(1) << (total - 1))) >> total
    return rounded


def half_away(x: Array) -> Array:
    """Round half away from zero, as C's ``round``."""
    whole = np.trunc(x)
    return np.where(np.abs(x - whole) >= 0.5, whole + np.sign(x), whole)


def rescale(acc: Array, r: Rescaling) -> Array:
    """Return accumulators [..., C] as integers of the output, before the clamp.

    All but FLOAT accumulate in 32 bits and wrap, as the firmware does.
    """
    if r.real is not None:
        once = half_away(wrap(acc).astype(np.float64) * r.real)
        return np.asarray(np.clip(once, -FAR, FAR).astype(np.int64) + r.zero_point)
    if r.arithmetic.fixed_point:
        return multiply_by_quantized(wrap(acc), r.multiplier, r.shift) + r.zero_point
    if r.arithmetic is Arithmetic.TINYENGINE:
        scaled = np.trunc(wrap(acc).astype(np.float32) * r.factor)
    else:
        scaled = np.rint(acc.astype(np.float32) * r.factor)
    pre: Array = np.clip(scaled, -FAR, FAR).astype(np.int64) + r.zero_point
    return pre


def store(pre: Array, low: int, high: int, output: Array, mask: NDArray[np.uint8] | None) -> None:
    """Clamp into ``output``; write one bit an element to ``mask``: 1 inside the clamp."""
    output[...] = np.clip(pre, low, high).astype(output.dtype).reshape(output.shape)
    if mask is not None:
        inside = ((pre >= low) & (pre <= high)).reshape(-1)
        mask[...] = np.packbits(inside, bitorder="little")
