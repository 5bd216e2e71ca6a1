"""Gemmlowp's fixed-point exponential and reciprocal, on which TFLite's integer SOFTMAX rests.

A number with i integer bits is an int32 in units of 2**(i - 31). Constants are exp(-2**k) and exp(-1/8)
as 31-bit fractions, and 48/17 and -32/17 with two integer bits (Newton-Raphson division).
"""

from __future__ import annotations

import numpy as np

from mcusim.kernels.arrays import Array
from mcusim.kernels.reference.rescale import INT32, divide_by_power_of_two, doubling_high_mul

Ints = Array
EXP_EIGHTH, THIRD = 1895147668, 715827883
EXP_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
"""exp(-2**k) for k = -2 .. 4."""
RATIO_48_17, RATIO_32_17 = 1515870810, -1010580540
DIFF_BITS, SUM_BITS = 5, 12
HALF_ROOT_2 = 1518500250
"""sqrt(2) / 2 as a 31-bit fraction."""
FOURTH_ROOT, LOG_2 = 1805811301, 1488522236
"""The fourth root of 1/2, and log 2, as 31-bit fractions."""
LOG_N, LOG_D, LOG_I, LOG_F = 117049297, 127690142, 1057819769, 638450708
"""With r the fourth root of 2: 11/240 r, 1/20 r, 2/r - r and 1/4 r as 31-bit fractions."""
ONE = INT32 - 1


def shift_left(x: Ints, bits: int) -> Ints:
    """Multiply by a power of two, saturating in 32 bits."""
    clipped: Ints = np.clip(x << bits, -INT32, INT32 - 1)
    return clipped


def exp_of_negative(a: Ints) -> Ints:
    """Return exp(a) with no integer bits for a <= 0 with five integer bits."""
    quarter = 1 << 24
    offset = (a & (quarter - 1)) - quarter
    x = shift_left(offset, DIFF_BITS) + (1 << 28)
    x2 = doubling_high_mul(x, x)
    x3, x4 = doubling_high_mul(x2, x), doubling_high_mul(x2, x2)
    tail = doubling_high_mul(divide_by_power_of_two(x4, 2) + x3, THIRD) + x2
    series = x + divide_by_power_of_two(tail, 1)
    result = np.clip(EXP_EIGHTH + doubling_high_mul(series, EXP_EIGHTH), -INT32, INT32 - 1)
    remainder = offset - a
    for k, factor in enumerate(EXP_POWERS):
        result = np.where(remainder & (1 << (24 + k)), doubling_high_mul(result, factor), result)
    return np.where(a == 0, ONE, result)


def _inverse_above_one(x: Ints) -> Ints:
    """Return 1 / (1 + x) as a 31-bit fraction, for x in [0, 1) as one."""
    half = (x + ONE + 1) >> 1
    estimate = RATIO_48_17 + doubling_high_mul(half, RATIO_32_17)
    for _ in range(3):
        error = (1 << 29) - doubling_high_mul(half, estimate)
        estimate = estimate + shift_left(doubling_high_mul(estimate, error), 2)
    return shift_left(estimate, 1)


def reciprocal(total: int, integer_bits: int = SUM_BITS) -> tuple[int, int]:
    """Return (r, bits) with 1 / total = r * 2**(-31 - bits) for a positive fixed-point number."""
    headroom = 32 - total.bit_length()
    x = np.array([(total << headroom) - INT32], np.int64)
    return int(_inverse_above_one(x)[0]), integer_bits - headroom


def inverse_root(value: int) -> tuple[int, int]:
    """Return TFLite's fixed-point (r, shift) with 1 / sqrt(value) = r * 2**(shift - 31) for value > 0.

    Five Newton-Raphson steps from 1 in three integer bits, as ``GetInvSqrtQuantizedMultiplierExp`` does.
    """
    if value <= 1:
        return ONE, 0
    right = 11
    while value >= 1 << 29:
        value, right = value // 4, right + 1
    pairs = (31 - value.bit_length()) // 2 - 1
    right, value = right - pairs, value << 2 * pairs
    full = np.array([value >> 1], np.int64)
    half = divide_by_power_of_two(full, 1)
    three_halves, x = (1 << 28) + (1 << 27), np.array([1 << 28], np.int64)
    for _ in range(5):
        # A product of numbers with three integer bits has six, of three numbers nine.
        cube = shift_left(doubling_high_mul(doubling_high_mul(x, x), x), 6)
        x = shift_left(doubling_high_mul(three_halves, x) - doubling_high_mul(half, cube), 3)
    root = int(doubling_high_mul(x, HALF_ROOT_2)[0])
    return (root << -right, 0) if right < 0 else (root, -right)


def logarithm(value: int, integer_bits: int, output_bits: int) -> int:
    """Return the logarithm, with ``output_bits`` integer bits, of a positive number with ``integer_bits``.

    The number is 2**k z; of the two k that bring z nearest to the fourth root of 1/2 the larger one is
    taken, and log z is a quotient of polynomials, as in ``log_x_for_x_greater_than_or_equal_to_1``.
    """
    z = np.array([value], np.int64)
    bits = 31 - (output_bits + 1)
    quarter = 1 << (bits - 2)
    headroom = 31 - value.bit_length()
    lower = doubling_high_mul(z, HALF_ROOT_2)
    lower_headroom = 31 - int(lower[0]).bit_length()
    first = shift_left(doubling_high_mul(shift_left(z, headroom), HALF_ROOT_2), 1)
    r = np.minimum(first, shift_left(z, lower_headroom))
    powers = integer_bits - headroom - 1, integer_bits - lower_headroom
    power = max((powers[0] << bits) + quarter, (powers[1] << bits) - quarter)
    p = (r + FOURTH_ROOT + 1) >> 1
    q = 2 * (r - FOURTH_ROOT)
    square = doubling_high_mul(q, q)
    numerator = doubling_high_mul(q, r) + doubling_high_mul(doubling_high_mul(q, square), LOG_N)
    inner = LOG_I + q + doubling_high_mul(square, LOG_D)
    denominator = doubling_high_mul(p, inner) + doubling_high_mul(q, LOG_F)
    scaled = divide_by_power_of_two(numerator, 31 - bits)
    quotient = doubling_high_mul(scaled, _inverse_above_one(denominator))
    total = doubling_high_mul(np.array([power]), LOG_2) + quotient
    return int(shift_left(total, 1)[0])
