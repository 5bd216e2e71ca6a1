"""ADD, and the ops that change one element at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Op, OpKind
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.reference.rescale import FAR, half_away, multiply_by_quantized, store
from mcusim.kernels.reference.unary import unary
from mcusim.kernels.scales import clamp_of, multiplier_and_shift, quant_of, scale_of

Kernel = Callable[..., None]
LEFT_SHIFT = 20
"""TFLite's ADD and SUB work in units of 2**-20 of twice the larger input scale."""


def add(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of ADD or SUB."""
    a, b, y = (tensors[n] for n in (*op.inputs, op.output))
    s_a, s_b, s_y = scale_of(a), scale_of(b), scale_of(y)
    z_a, z_b, z_y = (quant_of(t).zero_point for t in (a, b, y))
    low, high = clamp_of(op)
    twice = 2 * max(s_a, s_b)
    factors = [multiplier_and_shift(f) for f in (s_a / twice, s_b / twice, twice / ((1 << LEFT_SHIFT) * s_y))]
    sign = -1 if op.kind is OpKind.SUB else 1

    def fixed(p: Array, q: Array) -> Array:
        p = multiply_by_quantized((p - z_a) << LEFT_SHIFT, *factors[0])
        q = multiply_by_quantized((q - z_b) << LEFT_SHIFT, *factors[1])
        return multiply_by_quantized(p + sign * q, *factors[2]) + z_y

    def floating(p: Array, q: Array) -> Array:
        # In this order, each step rounded to float32, as the published simulator does it.
        left = (p - z_a).astype(np.float32) * np.float32(s_a)
        right = (q - z_b).astype(np.float32) * np.float32(s_b)
        quotient = (left + right if sign > 0 else left - right) / np.float32(s_y)
        if arithmetic is Arithmetic.TINYENGINE:
            return np.clip(half_away(quotient + np.float32(z_y)), -FAR, FAR).astype(np.int64)
        return np.clip(np.rint(quotient), -FAR, FAR).astype(np.int64) + z_y

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        p, q = (i.astype(np.int64) for i in inputs)
        store(fixed(p, q) if arithmetic.fixed_point else floating(p, q), low, high, output, mask)

    return kernel


def multiply_factor(op: Op, tensors: Tensors) -> float:
    """Return s_a * s_b / s_y."""
    s_a, s_b = (scale_of(tensors[n]) for n in op.inputs)
    return s_a * s_b / scale_of(tensors[op.output])


def multiply(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of MUL."""
    z_a, z_b, z_y = (quant_of(tensors[n]).zero_point for n in (*op.inputs, op.output))
    factor = multiply_factor(op, tensors)
    low, high = clamp_of(op)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        product = (inputs[0].astype(np.int64) - z_a) * (inputs[1].astype(np.int64) - z_b)
        if arithmetic.fixed_point:
            pre = multiply_by_quantized(product, *multiplier_and_shift(factor)) + z_y
        else:
            scaled = product.astype(np.float32) * np.float32(factor)
            rounded = np.rint(scaled) if arithmetic is Arithmetic.FLOAT else np.trunc(scaled)
            pre = np.clip(rounded, -FAR, FAR).astype(np.int64) + z_y
        store(pre, low, high, output, mask)

    return kernel


def quantize(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of QUANTIZE."""
    x, y = tensors[op.inputs[0]], tensors[op.output]
    if x.dtype != "float32":
        return unary(op, tensors, arithmetic)
    s_y, z_y = scale_of(y), quant_of(y).zero_point
    low, high = clamp_of(op)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        scaled = inputs[0] / np.float32(s_y)
        rounded = np.rint(scaled) if arithmetic is Arithmetic.FLOAT else half_away(scaled)
        store(np.clip(rounded, -FAR, FAR).astype(np.int64) + z_y, low, high, output, mask)

    return kernel


def dequantize(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of DEQUANTIZE."""
    x = tensors[op.inputs[0]]
    s, z = np.float32(scale_of(x)), quant_of(x).zero_point

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        output[...] = (inputs[0].astype(np.int64) - z).astype(np.float32) * s

    return kernel
