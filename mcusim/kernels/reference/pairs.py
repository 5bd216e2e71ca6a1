"""Ops on two int8 elements at a time; the fast kernel looks their 65,536 results up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.graph import Arithmetic, Op, OpKind, OpTable
from mcusim.graph.traits import Family, kinds
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.reference.fixed_point import reciprocal
from mcusim.kernels.reference.rescale import (
    FAR,
    divide_by_power_of_two,
    doubling_high_mul,
    half_away,
    multiply_by_quantized,
    store,
)
from mcusim.kernels.scales import clamp_of, multiplier_and_shift, quant_of, scale_of

F = np.float32
Ints = Array
Floats = Array
Kernel = Callable[..., None]
Values = Callable[[Ints, Ints], Ints]
SQUARE_SHIFT = 7
"""TFLite's SQUARED_DIFFERENCE works in units of 2**-7 of twice the larger input scale."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A function of two reals, in all the forms it is needed in.

    Attributes:
        fixed: makes the function from stored inputs to outputs before the clamp, as TFLite computes it.
        real: the same of an op and float32 arrays.
        slopes: its two derivatives, from the real values of both inputs.
    """

    fixed: Callable[[Op, Tensors], Values]
    real: Callable[[Floats, Floats], Floats]
    slopes: tuple[Callable[[Floats, Floats], Floats], Callable[[Floats, Floats], Floats]]


def values(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Values:
    """Return the function from two arrays of stored values to output values before the clamp."""
    if arithmetic.fixed_point:
        return PAIRS.of(op).fixed(op, tensors)
    a, b, y = (tensors[n] for n in (*op.inputs, op.output))
    s_y, z_y = F(scale_of(y)), quant_of(y).zero_point

    def compute(p: Ints, q: Ints) -> Ints:
        with np.errstate(all="ignore"):
            scaled = PAIRS.of(op).real(_real(p, a), _real(q, b)) / s_y
        near = np.clip(np.nan_to_num(scaled, nan=0.0), F(-FAR), F(FAR))
        rounded = np.rint(near) if arithmetic is Arithmetic.FLOAT else half_away(near)
        return np.asarray(rounded.astype(np.int64) + z_y)

    return compute


def pair(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of an op on two int8 elements."""
    compute, (low, high) = values(op, tensors, arithmetic), clamp_of(op)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        store(compute(*(i.astype(np.int64) for i in inputs)), low, high, output, mask)

    return kernel


def _real(stored: Ints, tensor: object) -> Floats:
    quant = quant_of(tensor)  # type: ignore[arg-type]
    return (stored - quant.zero_point).astype(F) * F(quant.scale[0])


def slope(op: Op, tensors: Tensors, index: int) -> Callable[[Ints, Ints], Floats]:
    """Return the derivative of the stored output with respect to stored input ``index``."""
    a, b, y = (tensors[n] for n in (*op.inputs, op.output))
    ratio = F(scale_of((a, b)[index]) / scale_of(y))

    def compute(p: Ints, q: Ints) -> Floats:
        reals = _real(p.astype(np.int64), a), _real(q.astype(np.int64), b)
        return np.asarray(PAIRS.of(op).slopes[index](*reals) * ratio)

    return compute


def require_one_scale(op: Op, tensors: Tensors) -> None:
    """Refuse an op that compares stored numbers of different scales.

    Raises:
        BadModel: names the op.
    """
    quants = [quant_of(tensors[n]) for n in (*op.inputs, op.output)]
    if not all(q.same_as(quants[0]) for q in quants):
        raise BadModel(
            f"op {op.name!r} ({op.kind})", "compares stored numbers of different scales",
            "convert the network again: TFLite gives both inputs and the output one scale",
        )  # fmt: skip


def _chosen(choose: Callable[[Ints, Ints], Ints]) -> Callable[[Op, Tensors], Values]:
    def fixed(op: Op, tensors: Tensors) -> Values:
        require_one_scale(op, tensors)
        return lambda p, q: np.asarray(choose(p, q))

    return fixed


def _squared_difference(op: Op, tensors: Tensors) -> Values:
    """As ADD, with the square of the difference between two rescalings."""
    a, b, y = (tensors[n] for n in (*op.inputs, op.output))
    z_a, z_b, z_y = (quant_of(t).zero_point for t in (a, b, y))
    twice = 2.0 * max(scale_of(a), scale_of(b))
    whole = twice * twice / ((1 << 2 * SQUARE_SHIFT) * scale_of(y))
    m_a, m_b, m_y = (multiplier_and_shift(f) for f in (scale_of(a) / twice, scale_of(b) / twice, whole))

    def compute(p: Ints, q: Ints) -> Ints:
        left = multiply_by_quantized((p - z_a) << SQUARE_SHIFT, *m_a)
        right = multiply_by_quantized((q - z_b) << SQUARE_SHIFT, *m_b)
        return multiply_by_quantized((left - right) ** 2, *m_y) + z_y

    return compute


def _prelu(op: Op, tensors: Tensors) -> Values:
    x, slopes, y = (tensors[n] for n in (*op.inputs, op.output))
    z_x, z_s, z_y = (quant_of(t).zero_point for t in (x, slopes, y))
    above = multiplier_and_shift(scale_of(x) / scale_of(y))
    below = multiplier_and_shift(scale_of(x) * scale_of(slopes) / scale_of(y))

    def compute(p: Ints, q: Ints) -> Ints:
        value = p - z_x
        sloped = multiply_by_quantized(value * (q - z_s), *below)
        return np.where(value >= 0, multiply_by_quantized(value, *above), sloped) + z_y

    return compute


def _divide(op: Op, tensors: Tensors) -> Values:
    """A reciprocal by Newton's method, one product, one rescaling.

    TFLite leaves division by zero undefined; here it gives the end of the range the dividend points to.
    """
    a, b, y = (tensors[n] for n in (*op.inputs, op.output))
    z_a, z_b, z_y = (quant_of(t).zero_point for t in (a, b, y))
    multiplier, shift = multiplier_and_shift(scale_of(a) / (scale_of(b) * scale_of(y)))
    inverses = np.array([(0, 0), *(reciprocal(d, 31) for d in range(1, 256))], np.int64)

    def compute(p: Ints, q: Ints) -> Ints:
        divisor = q - z_b
        dividend = np.where(divisor < 0, z_a - p, p - z_a)
        inverse, bits = inverses[np.abs(divisor)].transpose(-1, *range(divisor.ndim))
        magnitude = np.where(dividend >= 0, dividend, -dividend - 1)
        headroom = 31 - np.frexp(magnitude.astype(np.float64))[1]
        quotient = doubling_high_mul(dividend << headroom, inverse)
        right = np.clip(bits + headroom - shift, 0, 62)
        left = np.clip(shift - bits - headroom, 0, 31)
        rescaled = divide_by_power_of_two(doubling_high_mul(quotient << left, multiplier), right)
        return np.where(divisor == 0, np.sign(dividend) * 512, rescaled) + z_y

    return compute


def _inverse(b: Floats) -> Floats:
    return np.where(b == 0, F(0), F(1) / np.where(b == 0, F(1), b))


def _share(condition: NDArray[np.bool_]) -> Floats:
    return condition.astype(F)


PAIRS: OpTable[Pair] = OpTable(
    "functions of two elements",
    {
        OpKind.MINIMUM: Pair(
            _chosen(np.minimum), np.minimum, (lambda a, b: _share(a <= b), lambda a, b: _share(a > b))
        ),
        OpKind.MAXIMUM: Pair(
            _chosen(np.maximum), np.maximum, (lambda a, b: _share(a >= b), lambda a, b: _share(a < b))
        ),
        OpKind.SQUARED_DIFFERENCE: Pair(
            _squared_difference,
            lambda a, b: (a - b) * (a - b),
            (lambda a, b: F(2) * (a - b), lambda a, b: F(2) * (b - a)),
        ),
        OpKind.PRELU: Pair(
            _prelu,
            lambda a, b: np.where(a >= 0, a, a * b),
            (lambda a, b: np.where(a >= 0, F(1), b), lambda a, b: np.where(a >= 0, F(0), a)),
        ),
        OpKind.DIV: Pair(
            _divide,
            lambda a, b: a / b,
            (lambda a, b: _inverse(b), lambda a, b: -(a * _inverse(b)) * _inverse(b)),
        ),
    },
    absent=dict.fromkeys(
        kinds(lambda t: t.family not in (Family.PAIR, Family.BINARY)), "does not work on pairs of elements"
    )
    | dict.fromkeys((OpKind.ADD, OpKind.SUB, OpKind.MUL), "has vector kernels of its own"),
)
LOOKED_UP = tuple(PAIRS)
"""Kinds whose results are looked up by both elements."""
