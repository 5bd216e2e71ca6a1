"""MEAN and the pooling ops."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.graph import Arithmetic, Op, OpKind
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.reference.rescale import multiply_by_quantized, store
from mcusim.kernels.reference.window import windows
from mcusim.kernels.scales import clamp_of, multiplier_and_shift, quant_of, scale_of

Kernel = Callable[..., None]


def divide_half_away(total: Array, count: Array | int) -> Array:
    """Integer division rounding half away from zero: half the divisor added before truncation."""
    magnitude = (np.abs(total) + np.asarray(count) // 2) // count
    return np.asarray(np.where(total < 0, -magnitude, magnitude))


def mean_multiplier(real: float, count: int) -> tuple[int, int]:
    """Fold 1/count into a fixed-point factor, as TFLite's integer MEAN does."""
    multiplier, shift = multiplier_and_shift(real)
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << extra) // count, shift - extra


def mean(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of MEAN."""
    x, y = tensors[op.inputs[0]], tensors[op.output]
    same = quant_of(x).same_as(quant_of(y))
    z_x, z_y = quant_of(x).zero_point, quant_of(y).zero_point
    ratio = scale_of(x) / scale_of(y)
    low, high = clamp_of(op)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        axes = tuple(a % inputs[0].ndim for a in op.attributes.axes)
        count = prod(inputs[0].shape[a] for a in axes)
        total = inputs[0].astype(np.int64).sum(axes)
        if arithmetic.fixed_point:
            multiplier, shift = mean_multiplier(ratio, count)
            pre = multiply_by_quantized(total - z_x * count, multiplier, shift) + z_y
        elif arithmetic is Arithmetic.TINYENGINE and same:
            pre = divide_half_away(total, count)
        elif same:
            pre = np.rint(total.astype(np.float32) / np.float32(count)).astype(np.int64)
        else:
            real = (total - z_x * count).astype(np.float32) / np.float32(count) * np.float32(ratio)
            pre = np.rint(real).astype(np.int64) + z_y
        store(pre, low, high, output, mask)

    return kernel


def total(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of SUM: MEAN without the division."""
    x, y = tensors[op.inputs[0]], tensors[op.output]
    z_x, z_y, ratio = quant_of(x).zero_point, quant_of(y).zero_point, scale_of(x) / scale_of(y)
    low, high = clamp_of(op)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        summed = (inputs[0].astype(np.int64) - z_x).sum(tuple(a % inputs[0].ndim for a in op.attributes.axes))
        if arithmetic.fixed_point:
            pre = multiply_by_quantized(summed, *multiplier_and_shift(ratio)) + z_y
        else:
            pre = np.rint(summed.astype(np.float32) * np.float32(ratio)).astype(np.int64) + z_y
        store(pre, low, high, output, mask)

    return kernel


def extreme(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of REDUCE_MAX or REDUCE_MIN, which compare stored numbers.

    Raises:
        BadModel: if the output has another scale than the input.
    """
    x, y = tensors[op.inputs[0]], tensors[op.output]
    if not quant_of(x).same_as(quant_of(y)):
        raise BadModel(f"op {op.name!r} ({op.kind})", "gives one of its input's numbers another scale")
    choose = np.max if op.kind is OpKind.REDUCE_MAX else np.min
    low, high = clamp_of(op)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        axes = tuple(a % inputs[0].ndim for a in op.attributes.axes)
        store(choose(inputs[0], axes).astype(np.int64), low, high, output, mask)

    return kernel


def average_pool(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of AVERAGE_POOL_2D."""
    low, high = clamp_of(op)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        total = np.sum([p.astype(np.int64) for p in pooled(op, inputs[0], 0)], 0)
        count = np.sum([p.astype(np.int64) for p in pooled(op, np.ones_like(inputs[0]), 0)], 0)
        if arithmetic is Arithmetic.FLOAT:
            pre = np.rint(total.astype(np.float32) / count.astype(np.float32)).astype(np.int64)
        elif op.attributes.unsigned:
            pre = (total + 128 * count + count // 2) // count - 128
        else:
            pre = divide_half_away(total, count)
        store(pre, low, high, output, mask)

    return kernel


def max_pool(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of MAX_POOL_2D."""
    low, high = clamp_of(op)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        largest = np.max(np.stack(pooled(op, inputs[0], -128)), 0).astype(np.int64)
        store(largest, low, high, output, mask)

    return kernel


def pooled(op: Op, x: Array, fill: int) -> list[Array]:
    """Return what each tap of a pooling window meets; padding holds ``fill``."""
    return [patch for row in windows(x, op.attributes.kernel, op, fill) for patch in row]
