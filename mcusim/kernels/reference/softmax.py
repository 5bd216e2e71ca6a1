"""SOFTMAX over the last dimension."""

from __future__ import annotations

from collections.abc import Callable
from math import floor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Op
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.reference.fixed_point import DIFF_BITS, SUM_BITS, exp_of_negative, reciprocal
from mcusim.kernels.reference.loss import exponential
from mcusim.kernels.reference.rescale import (
    divide_by_power_of_two,
    doubling_high_mul,
    multiply_by_quantized,
    store,
)
from mcusim.kernels.scales import multiplier_and_shift, quant_of, scale_of

F = np.float32
Kernel = Callable[..., None]


class Differences(NamedTuple):
    """Of a row's elements from its largest, d = 0 .. 255."""

    fixed: Array
    """-d * beta * s_x with five integer bits."""
    radius: int
    """The largest d that TFLite does not take as infinite."""
    factor: tuple[int, int]
    """The fixed-point factor they were made with."""


def differences(op: Op, tensors: Tensors) -> Differences:
    """Return the differences that a row can have."""
    real = min(op.attributes.beta * scale_of(tensors[op.inputs[0]]) * (1 << (31 - DIFF_BITS)), 2.0**31 - 1)
    multiplier, shift = multiplier_and_shift(real)
    radius = floor(((1 << DIFF_BITS) - 1) * (1 << (31 - DIFF_BITS)) / 2.0**shift)
    fixed = multiply_by_quantized(-np.arange(256, dtype=np.int64), multiplier, shift)
    return Differences(fixed, radius, (multiplier, shift))


def exponentials(op: Op, tensors: Tensors) -> Array:
    """Return exp(-d * beta * s_x) as 31-bit fractions for d = 0 .. 255; -1 where TFLite takes it as 0."""
    found = differences(op, tensors)
    return np.where(np.arange(256) <= found.radius, exp_of_negative(found.fixed), -1)


def softmax(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of SOFTMAX."""
    if tensors[op.inputs[0]].dtype == "int8" and arithmetic.fixed_point:
        return _fixed(op, tensors)
    x, y = tensors[op.inputs[0]], tensors[op.output]
    step = F((scale_of(x) if x.dtype == "int8" else 1.0) * op.attributes.beta)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        rows = inputs[0].reshape(-1, inputs[0].shape[-1])
        wide = rows.astype(np.int64) if x.dtype == "int8" else rows
        e = exponential((wide - wide.max(1, keepdims=True)).astype(F) * step)
        total = np.zeros(len(rows), F)
        for column in e.T:
            total += column
        p = e / total[:, None]
        if y.dtype == "float32":
            output[...] = p.reshape(output.shape)
            return
        pre = np.rint(p / F(scale_of(y))).astype(np.int64) + quant_of(y).zero_point
        store(pre, -128, 127, output, mask)

    return kernel


def _fixed(op: Op, tensors: Tensors) -> Kernel:
    table = exponentials(op, tensors)
    # Rescaling from 0 to 12 integer bits rounds; the sum has 12.
    terms = np.where(table >= 0, divide_by_power_of_two(table, SUM_BITS), 0)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        rows = inputs[0].reshape(-1, inputs[0].shape[-1]).astype(np.int64)
        pre = np.empty(rows.shape, np.int64)
        for row, result in zip(rows, pre, strict=True):
            below = row.max() - row
            scale, bits = reciprocal(int(terms[below].sum()))
            unsaturated = divide_by_power_of_two(doubling_high_mul(table, scale), bits + 31 - 8)
            result[...] = np.where(table >= 0, unsaturated - 128, -128)[below]
        store(pre, -128, 127, output, mask)

    return kernel
