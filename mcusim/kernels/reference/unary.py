"""Ops on one int8 element at a time; the fast kernels look their 256 results up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import erf, exp, expm1, isfinite, log, pi, sqrt, tanh

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Op, OpKind, OpTable, Quant
from mcusim.graph.traits import Family, kinds
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.reference import curves
from mcusim.kernels.reference.fixed_point import inverse_root
from mcusim.kernels.reference.rescale import (
    divide_by_power_of_two,
    half_away,
    multiply_by_quantized,
    rescale,
    store,
)
from mcusim.kernels.scales import clamp_of, multiplier_and_shift, quant_of, rescaling, scale_of

F = np.float32
Ints = Array
Floats = Array
Kernel = Callable[..., None]
Maker = Callable[[Op, Tensors, Arithmetic], Callable[[Ints], Ints]]
BEYOND = 1e30
"""Beyond every clamp."""
INT16 = 1 << 15


def values(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Callable[[Ints], Ints]:
    """Return the function from stored input values to output values before the clamp."""
    return FUNCTIONS.of(op).values(op, tensors, arithmetic)


def bounds(op: Op, tensors: Tensors) -> tuple[int, int]:
    """Return the clamp; RELU and RELU6 are clamps of their own."""
    low, high = clamp_of(op)
    if op.traits.activation is not None:
        quant = quant_of(tensors[op.output])
        floor, ceiling = op.traits.activation
        low = max(low, quant.zero_point + _steps(floor, quant))
        if isfinite(ceiling):
            high = min(high, quant.zero_point + _steps(ceiling, quant))
    return low, high


def _steps(real: float, quant: Quant) -> int:
    return int(half_away(np.array([F(real) / F(quant.scale[0])]))[0])


def _rescaled(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Callable[[Ints], Ints]:
    """The same real in the output's scale."""
    x, y = tensors[op.inputs[0]], tensors[op.output]
    factor = np.array([scale_of(x) / scale_of(y)])
    z_x, r = quant_of(x).zero_point, rescaling(factor, quant_of(y).zero_point, op, arithmetic)
    return lambda stored: rescale(stored - z_x, r)


def _curve(function: Callable[[np.float32], np.float32 | float]) -> Maker:
    """A function that devices compute in float32 once for each of the 256 values."""
    return lambda op, tensors, arithmetic: _real(op, tensors, arithmetic, lambda x: F(function(x)))


def _drawn(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Callable[[Ints], Ints]:
    return _real(op, tensors, arithmetic, lambda x: F(curves.value_of(op, np.asarray(x))))


def _leaky_relu(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Callable[[Ints], Ints]:
    """One factor from zero up and one below; TFLite takes both in float32 before it makes them fixed."""
    alpha = F(op.attributes.alpha)
    if not arithmetic.fixed_point:
        return _real(op, tensors, arithmetic, lambda x: x if x >= 0 else x * alpha)
    x, y = tensors[op.inputs[0]], tensors[op.output]
    s_x, s_y, z_x = F(scale_of(x)), F(scale_of(y)), quant_of(x).zero_point
    above, below = (multiplier_and_shift(float(factor)) for factor in (s_x / s_y, s_x * alpha / s_y))

    def compute(stored: Ints) -> Ints:
        value = stored - z_x
        upper, lower = (multiply_by_quantized(value, *factor) for factor in (above, below))
        return np.where(value >= 0, upper, lower) + quant_of(y).zero_point

    return compute


def _elu(x: np.float32) -> np.float32 | float:
    return x if x >= 0 else expm1(float(x))


def _gelu(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Callable[[Ints], Ints]:
    return _real(op, tensors, arithmetic, lambda x: _gelu_real(op, np.array([x]))[0])


def _normal(op: Op, x: Floats) -> Floats:
    """Twice the distribution function of the normal distribution, or TFLite's approximation, in float64."""
    if op.attributes.approximate:
        return np.asarray(1 + np.tanh(sqrt(2 / pi) * (x + F(0.044715) * x * x * x).astype(np.float64)))
    return np.asarray(1 + np.asarray(np.frompyfunc(erf, 1, 1)(x.astype(np.float64) * sqrt(0.5)), np.float64))


def _gelu_real(op: Op, x: Floats) -> Floats:
    return np.asarray(F(0.5) * x * _normal(op, x), F)


def _gelu_slope(op: Op, x: Floats) -> Floats:
    """The exact one in both cases: the approximation differs by less than int8 can tell."""
    return np.asarray(0.5 * _normal(op, x) + x * np.exp(F(-0.5) * x * x) * F(1 / sqrt(2 * pi)), F)


def _square_root(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Callable[[Ints], Ints]:
    """LiteRT cuts the root off instead of rounding it; what is negative counts as 0."""
    if not arithmetic.fixed_point:
        return _curve(lambda x: sqrt(max(float(x), 0.0)))(op, tensors, arithmetic)
    x, y = tensors[op.inputs[0]], tensors[op.output]
    z_x, s_x, s_y = quant_of(x).zero_point, F(scale_of(x)), F(scale_of(y))

    def compute(stored: Ints) -> Ints:
        root: Floats = np.sqrt(s_x * np.maximum(stored - z_x, 0).astype(F)) / s_y
        return root.astype(np.int64) + quant_of(y).zero_point

    return compute


def _inverse_square_root(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Callable[[Ints], Ints]:
    """TFLite's fixed-point root of the integer; 0, and what is negative, gives the largest number."""
    if not arithmetic.fixed_point:
        return _curve(lambda x: 1 / sqrt(float(x)) if x > 0 else BEYOND)(op, tensors, arithmetic)
    x, y = tensors[op.inputs[0]], tensors[op.output]
    fine, z_x, z_y = 20, quant_of(x).zero_point, quant_of(y).zero_point
    multiplier, shift = multiplier_and_shift(1 / (float(np.sqrt(F(scale_of(x)))) * float(F(scale_of(y)))))
    roots = [inverse_root(value) for value in range(1, 256)]
    one = np.ones(1, np.int64)
    units = [int(multiply_by_quantized(one, root, bits + fine)[0]) for root, bits in roots]
    table = multiply_by_quantized(np.array([0, *units]), multiplier, shift - fine) + z_y

    def compute(stored: Ints) -> Ints:
        value = np.maximum(stored - z_x, 0)
        return np.where(value == 0, 127, table[value])

    return compute


def _absolute(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Callable[[Ints], Ints]:
    if not arithmetic.fixed_point:
        return _curve(abs)(op, tensors, arithmetic)
    x, y = tensors[op.inputs[0]], tensors[op.output]
    factor = multiplier_and_shift(float(F(scale_of(x)) / F(scale_of(y))))
    z_x, z_y = quant_of(x).zero_point, quant_of(y).zero_point
    return lambda stored: multiply_by_quantized(np.abs(stored - z_x), *factor) + z_y


def _inverse_of(y: Floats) -> Floats:
    return np.where(y > 0, F(1) / np.where(y > 0, y, F(1)), F(0))


def _real(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, function: Callable[[np.float32], np.float32]
) -> Callable[[Ints], Ints]:
    """Dequantise, apply, quantise, all in float32; TFLITE rounds half away from zero."""
    x, y = tensors[op.inputs[0]], tensors[op.output]
    s_x, inverse = F(scale_of(x)), F(1) / F(scale_of(y))

    def compute(stored: Ints) -> Ints:
        reals = [function(s_x * F(int(q) - quant_of(x).zero_point)) * inverse for q in stored.reshape(-1)]
        scaled = np.array(reals, F)
        rounded = half_away(scaled) if arithmetic.fixed_point else np.rint(scaled)
        whole = np.clip(rounded, -(2.0**31), 2.0**31).astype(np.int64)
        return whole.reshape(stored.shape) + quant_of(y).zero_point

    return compute


def _hard_swish(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Callable[[Ints], Ints]:
    """TFLite's 16-bit fixed-point x * relu6(x + 3) / 6; in float32 for the other arithmetics."""
    if not arithmetic.fixed_point:
        return _real(op, tensors, arithmetic, lambda x: x * min(max(x + F(3), F(0)), F(6)) / F(6))
    x, y = tensors[op.inputs[0]], tensors[op.output]
    fine = F(1 / 128) * F(scale_of(x))
    out_multiplier, out_shift = multiplier_and_shift(float(fine / F(scale_of(y))))
    relu_multiplier, relu_shift = multiplier_and_shift(float(fine / (F(3) / F(32768))))
    out_multiplier, relu_multiplier = (
        min((m + INT16) >> 16, INT16 - 1) for m in (out_multiplier, relu_multiplier)
    )

    def high_mul(a: Ints, b: int) -> Ints:
        return np.asarray(np.clip((a * b + (1 << 14)) >> 15, -INT16, INT16 - 1))

    def shift_left(a: Ints, bits: int) -> Ints:
        return np.asarray(np.clip(a << bits, -INT16, INT16 - 1))

    def compute(stored: Ints) -> Ints:
        value = (stored - quant_of(x).zero_point) << 7
        scaled = high_mul(value, out_multiplier)
        relu = shift_left(value, relu_shift - 1) if relu_shift > 0 else value
        relu = high_mul(relu, relu_multiplier)
        relu = shift_left(relu, 1) if relu_shift > 0 else relu
        relu = divide_by_power_of_two(relu, -relu_shift) if relu_shift < 0 else relu
        relu = (relu + INT16) >> 1
        # The C code divides by 2**15, which truncates toward zero.
        product = np.clip(np.trunc(relu * scaled / INT16).astype(np.int64), -INT16, INT16 - 1)
        return divide_by_power_of_two(product, -out_shift) + quant_of(y).zero_point

    return compute


def _hard_swish_slope(op: Op, x: Floats) -> Floats:
    """(2 x + 3) / 6 between -3 and 3, 0 below, 1 above."""
    inner = (x + x + F(3)) / F(6)
    return np.where(x <= F(-3), F(0), np.where(x >= F(3), F(1), inner))


def unary(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of an op on single int8 elements."""
    compute, (low, high) = values(op, tensors, arithmetic), bounds(op, tensors)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        store(compute(inputs[0].astype(np.int64)), low, high, output, mask)

    return kernel


@dataclass(frozen=True, slots=True)
class Function:
    """A function of one real, in all the forms it is needed in.

    Attributes:
        values: makes the function from stored inputs to outputs before the clamp, as a device computes it.
        real: the same of an op and float32 arrays, for networks that are not quantised yet.
        slope: its derivative, from the op and the real value of what its backward pass reads (see its
            traits); ``None`` where that is 1 wherever the clamp does not act.
    """

    values: Callable[[Op, Tensors, Arithmetic], Callable[[Ints], Ints]]
    real: Callable[[Op, Floats], Floats]
    slope: Callable[[Op, Floats], Floats] | None = None


FUNCTIONS: OpTable[Function] = OpTable(
    "functions of one element",
    {
        OpKind.RELU: Function(_rescaled, lambda op, x: np.maximum(x, F(0))),
        OpKind.RELU6: Function(_rescaled, lambda op, x: np.clip(x, F(0), F(6))),
        OpKind.RELU_N1_TO_1: Function(_rescaled, lambda op, x: np.clip(x, F(-1), F(1))),
        OpKind.RELU_0_TO_1: Function(_rescaled, lambda op, x: np.clip(x, F(0), F(1))),
        OpKind.QUANTIZE: Function(_rescaled, lambda op, x: x),
        OpKind.LEAKY_RELU: Function(
            _leaky_relu,
            lambda op, x: np.where(x >= 0, x, x * F(op.attributes.alpha)),
            lambda op, x: np.where(x >= 0, F(1), F(op.attributes.alpha)),
        ),
        OpKind.HARD_SWISH: Function(
            _hard_swish, lambda op, x: x * np.clip(x + F(3), 0, 6) / F(6), _hard_swish_slope
        ),
        OpKind.LOGISTIC: Function(
            _curve(lambda x: F(1) / (F(1) + F(exp(-float(x))))),
            lambda op, x: 1 / (1 + np.exp(-x)),
            lambda op, p: p * (F(1) - p),
        ),
        OpKind.TANH: Function(
            _curve(lambda x: tanh(float(x))), lambda op, x: np.tanh(x), lambda op, y: F(1) - y * y
        ),
        OpKind.ELU: Function(
            _curve(_elu),
            lambda op, x: np.where(x >= 0, x, np.expm1(np.minimum(x, F(0)))),
            lambda op, x: np.where(x >= 0, F(1), np.exp(np.minimum(x, F(0)))),
        ),
        OpKind.GELU: Function(_gelu, _gelu_real, _gelu_slope),
        OpKind.ABS: Function(_absolute, lambda op, x: np.abs(x), lambda op, x: np.sign(x)),
        OpKind.SQRT: Function(
            _square_root,
            lambda op, x: np.sqrt(np.maximum(x, F(0))),
            lambda op, y: F(0.5) * _inverse_of(y),
        ),
        OpKind.RSQRT: Function(
            _inverse_square_root,
            lambda op, x: F(1) / np.sqrt(np.maximum(x, np.finfo(F).tiny)),
            lambda op, y: F(-0.5) * y * y * y,
        ),
        OpKind.EXP: Function(
            _curve(lambda x: exp(min(float(x), 80.0))), lambda op, x: np.exp(x), lambda op, y: y
        ),
        OpKind.LOG: Function(
            _curve(lambda x: log(float(x)) if x > 0 else -BEYOND),
            lambda op, x: np.log(np.maximum(x, np.finfo(F).tiny)),
            lambda op, x: _inverse_of(x),
        ),
        OpKind.CURVE: Function(_drawn, curves.value_of, curves.slope_of),
    },
    absent=dict.fromkeys(
        kinds(lambda t: t.family is not Family.UNARY and t.family is not Family.CONVERSION),
        "does not work on single elements",
    )
    | {OpKind.DEQUANTIZE: "gives float32, not one of 256 values"},
)
