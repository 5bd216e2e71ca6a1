"""SOFTMAX, LOGISTIC and TANH of 16-bit activations: TFLite's tables, and the straight lines between them.

Sources: ``SoftmaxInt16`` of TFLite's ``reference/softmax.h``, ``LUTPopulateInt16`` and ``LUTLookup`` of its
``internal/common.h``, ``Logistic`` and ``Tanh`` of its ``reference/integer_ops``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import frexp

import numpy as np

from mcusim.graph import Op
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.reference.rescale import half_away, multiply_by_quantized
from mcusim.kernels.scales import multiplier_and_shift, scale_of

F = np.float32
INT16 = 1 << 15
STEPS = 512
LOWEST = 10.0
"""exp(-10) and what is below counts as 0."""
RAISED = (
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45,
    46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
)  # fmt: skip
"""Places where TFLite's table is one above the nearest number: found by giving TFLite Micro every int16."""
SIGMOIDS = half_away(65536 / (1 + np.exp(-np.arange(256) / 24.0))).astype(np.int64)
"""The sigmoid of k / 24 in units of 2**-16."""
SIGMOIDS[list(RAISED)] += 1


def sampled(transform: Callable[[Array], Array], first: float, last: float, highest: float) -> Array:
    """Return a function at 513 places in [first, last] as int16 in units of highest / 65535.

    Every sample but the last is moved by half the error that a straight line to the next has in the middle.
    """
    low, high = F(first), F(last)
    step = (high - low) / F(STEPS)
    inverse = F(2 * INT16) / F(highest)
    at = low + np.arange(STEPS, dtype=F) * step
    sample, middle, after = (
        transform(x) * inverse for x in (at, at + step / F(2), low + np.arange(1, STEPS + 1, dtype=F) * step)
    )
    line = half_away((after + half_away(sample)) / F(2))
    moved = half_away(sample) - half_away((line - half_away(middle)) / F(2))
    whole = np.append(moved, half_away(transform(np.array([high], F)) * inverse))
    return np.asarray(np.clip(whole, -INT16, INT16 - 1).astype(np.int64))


def looked_up(table: Array, x: Array) -> Array:
    """Return what lies between two samples, for int16 numbers."""
    index, offset = 256 + (x >> 7), x & 0x7F
    base = table[index]
    return np.asarray(base + (((table[index + 1] - base) * offset + 64) >> 7))


def softmax_tables(op: Op, tensors: Tensors) -> tuple[tuple[int, int], Array, Array]:
    """Return the factor of what lies below a row's largest, and samples of exponentials and reciprocals."""
    factor = multiplier_and_shift(scale_of(tensors[op.inputs[0]]) * op.attributes.beta / (LOWEST / 65535))
    exponentials = sampled(lambda x: np.exp(x.astype(np.float64)).astype(F), -LOWEST, 0, 2.0)
    return factor, exponentials, sampled(lambda x: F(1) / (F(1) + x), 0, 1, 2.0)


def softmax(op: Op, tensors: Tensors) -> Callable[..., Array]:
    """Return the function from rows to shares in units of 2**-15."""
    factor, exponentials, reciprocals = softmax_tables(op, tensors)

    def compute(x: Array, *, shape: tuple[int, ...]) -> Array:
        rows = x.reshape(-1, x.shape[-1]).astype(np.int64)
        scaled = multiply_by_quantized(rows - rows.max(1, keepdims=True), *factor)
        powers = looked_up(exponentials, np.clip(scaled + INT16 - 1, -INT16, INT16 - 1))
        total = powers.sum(1, keepdims=True)
        bits = np.frexp(total.astype(np.float64))[1]  # of the sum; 32 less the leading zeros
        normal = ((total << (31 - bits)) + (1 << 13)) >> 14
        inverse = looked_up(reciprocals, np.clip(normal - 3 * INT16, -INT16, INT16 - 1))
        shift = bits - 1
        shares = (powers * inverse + (np.int64(1) << np.maximum(shift - 1, 0))) >> shift
        return np.asarray(np.clip(shares, 0, INT16 - 1))

    return compute


def multiplier_of(scale: float) -> tuple[int, int]:
    """Return (m, n) with scale * 3 * 4096 = m / 2**n: steps of 2**-12 / 3 reach ±10.7 in 18 bits."""
    fraction, power = frexp(scale)
    if fraction == 0.5 and power - 1 == -12:
        return 3, 0
    real, shift = scale * 4096.0 * 3.0, 0
    while real <= 32767.0 / 2.0 and shift <= 30:
        real, shift = real * 2.0, shift + 1
    return int(real), shift


def _scaled(op: Op, tensors: Tensors) -> Callable[[Array], Array]:
    multiplier, shift = multiplier_of(scale_of(tensors[op.inputs[0]]))
    half = 1 << (shift - 1) if shift else 0
    return lambda x: (x.astype(np.int64) * multiplier + half) >> shift


def _between(x: Array, bits: int, most: int) -> Array:
    """Return the sigmoid of a magnitude whose lowest ``bits`` lie between two places of the table."""
    place, rest = np.minimum(x >> bits, 254), x & ((1 << bits) - 1)
    value = (SIGMOIDS[place] << bits) + rest * (SIGMOIDS[place + 1] - SIGMOIDS[place])
    return np.where(x >> bits >= 255, most, value)


def logistic(op: Op, tensors: Tensors) -> Callable[..., Array]:
    """Return the sigmoid of stored numbers, in units of 2**-15."""
    scaled = _scaled(op, tensors)

    def compute(x: Array, *, shape: tuple[int, ...]) -> Array:
        given = scaled(x)
        found = _between(np.abs(given), 9, 0x7FFF << 10)
        return np.asarray(np.where(given >= 0, found + 512, (1 << 25) - found + 511) >> 10)

    return compute


def tanh(op: Op, tensors: Tensors) -> Callable[..., Array]:
    """Return 2 sigmoid(2 x) - 1 of stored numbers, in units of 2**-15."""
    scaled = _scaled(op, tensors)

    def compute(x: Array, *, shape: tuple[int, ...]) -> Array:
        given = scaled(x)
        found = _between(np.abs(given), 8, 0xFFFF << 8) - (1 << 23)
        return np.asarray(np.where(given >= 0, found + 128, 127 - found) >> 8)

    return compute
