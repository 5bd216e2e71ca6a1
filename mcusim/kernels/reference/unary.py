"""Ops on one int8 element at a time; the fast kernels look their 256 results up."""

from __future__ import annotations

from collections.abc import Callable
from math import exp

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Op, OpKind
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.reference.rescale import (
    divide_by_power_of_two,
    half_away,
    rescale,
    store,
)
from mcusim.kernels.scales import clamp_of, multiplier_and_shift, quant_of, rescaling, scale_of

F = np.float32
Ints = Array
Kernel = Callable[..., None]
INT16 = 1 << 15


def values(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Callable[[Ints], Ints]:
    """Return the function from stored input values to output values before the clamp."""
    if op.kind is OpKind.LOGISTIC:
        return _real(op, tensors, arithmetic, lambda x: F(1) / (F(1) + F(exp(-float(x)))))
    if op.kind is OpKind.HARD_SWISH:
        if arithmetic is Arithmetic.TFLITE:
            return _hard_swish(op, tensors)
        return _real(op, tensors, arithmetic, lambda x: x * min(max(x + F(3), F(0)), F(6)) / F(6))
    z_x, y = quant_of(tensors[op.inputs[0]]).zero_point, tensors[op.output]
    factor = np.array([scale_of(tensors[op.inputs[0]]) / scale_of(y)])
    r = rescaling(factor, quant_of(y).zero_point, op, arithmetic)
    return lambda x: rescale(x - z_x, r)


def bounds(op: Op, tensors: Tensors) -> tuple[int, int]:
    """Return the clamp; RELU and RELU6 are clamps of their own."""
    low, high = clamp_of(op)
    if op.kind in (OpKind.RELU, OpKind.RELU6):
        quant = quant_of(tensors[op.output])
        low = max(low, quant.zero_point)
        if op.kind is OpKind.RELU6:
            six = half_away(np.array([F(6) / F(quant.scale[0])]))
            high = min(high, quant.zero_point + int(six[0]))
    return low, high


def _real(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, function: Callable[[np.float32], np.float32]
) -> Callable[[Ints], Ints]:
    """Dequantise, apply, quantise, all in float32; TFLITE rounds half away from zero."""
    x, y = tensors[op.inputs[0]], tensors[op.output]
    s_x, inverse = F(scale_of(x)), F(1) / F(scale_of(y))

    def compute(stored: Ints) -> Ints:
        reals = [function(s_x * F(int(q) - quant_of(x).zero_point)) * inverse for q in stored.reshape(-1)]
        scaled = np.array(reals, F)
        rounded = half_away(scaled) if arithmetic is Arithmetic.TFLITE else np.rint(scaled)
        return rounded.astype(np.int64).reshape(stored.shape) + quant_of(y).zero_point

    return compute


def _hard_swish(op: Op, tensors: Tensors) -> Callable[[Ints], Ints]:
    """TFLite's 16-bit fixed-point x * relu6(x + 3) / 6."""
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


def unary(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of an op on single int8 elements."""
    compute, (low, high) = values(op, tensors, arithmetic), bounds(op, tensors)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        store(compute(inputs[0].astype(np.int64)), low, high, output, mask)

    return kernel


KERNELS: dict[OpKind, Callable[[Op, Tensors, Arithmetic], Kernel]] = dict.fromkeys(
    (OpKind.RELU, OpKind.RELU6, OpKind.HARD_SWISH, OpKind.LOGISTIC), unary
)
