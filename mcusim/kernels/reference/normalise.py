"""LOG_SOFTMAX and L2_NORMALIZATION over the last dimension."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Op
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.reference.fixed_point import DIFF_BITS, SUM_BITS, inverse_root, logarithm
from mcusim.kernels.reference.loss import exponential
from mcusim.kernels.reference.loss import logarithm as real_logarithm
from mcusim.kernels.reference.rescale import INT32, divide_by_power_of_two, multiply_by_quantized, store
from mcusim.kernels.reference.softmax import differences, exponentials
from mcusim.kernels.scales import multiplier_and_shift, quant_of, scale_of

F = np.float32
Kernel = Callable[..., None]
Compute = Callable[[Array, tuple[Array, ...], tuple[int, ...]], Array]
LOG_BITS = 4
"""Integer bits of LOG_SOFTMAX's output: (-16, 0]."""


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def log_softmax(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of LOG_SOFTMAX."""
    if arithmetic.fixed_point:
        return _fixed_log_softmax(op, tensors)
    x, y = tensors[op.inputs[0]], tensors[op.output]
    s_x, s_y, z_y = F(scale_of(x)), F(scale_of(y)), quant_of(y).zero_point

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        rows = _rows(inputs[0]).astype(np.int64)
        below = (rows - rows.max(1, keepdims=True)).astype(F) * s_x
        total = np.zeros(len(rows), F)
        for column in exponential(below).T:
            total += column
        logs = below - np.array([real_logarithm(F(t)) for t in total], F)[:, None]
        store(np.rint(logs / s_y).astype(np.int64) + z_y, -128, 127, output, mask)

    return kernel


def _fixed_log_softmax(op: Op, tensors: Tensors) -> Kernel:
    table, steps = exponentials(op, tensors), differences(op, tensors)
    terms = np.where(table >= 0, divide_by_power_of_two(table, SUM_BITS), 0)
    multiplier, shift = steps.factor
    back, back_shift = multiplier_and_shift(2.0 ** (31 - shift) / multiplier)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        rows = _rows(inputs[0]).astype(np.int64)
        pre = np.empty(rows.shape, np.int64)
        for row, result in zip(rows, pre, strict=True):
            below = row.max() - row
            log = logarithm(int(terms[below].sum()), SUM_BITS, DIFF_BITS)
            lowest = multiply_by_quantized(np.array([log - INT32]), back, back_shift)[0]
            floor = max(-steps.radius - 1, int(lowest))
            found = divide_by_power_of_two(steps.fixed - log, 31 - DIFF_BITS - LOG_BITS) + 127
            result[...] = np.where(-np.arange(256) > floor, found, -128)[below]
        store(pre, -128, 127, output, mask)

    return kernel


def log_softmax_gradient(op: Op, tensors: Tensors, index: int) -> Compute:
    """Return g_i - p_i Σ g, with the shares p from the output."""
    y, ratio = tensors[op.output], F(scale_of(tensors[op.inputs[0]]) / scale_of(tensors[op.output]))

    def compute(g: Array, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Array:
        logs = (inputs[0].astype(np.int64) - quant_of(y).zero_point).astype(F) * F(scale_of(y))
        total = np.zeros(g.shape[:-1], F)
        for j in range(g.shape[-1]):
            total += g[..., j]
        return np.asarray((g - exponential(logs) * total[..., None]) * ratio).reshape(shape)

    return compute


def l2_normalization(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of L2_NORMALIZATION."""
    x, y = tensors[op.inputs[0]], tensors[op.output]
    z_x, s_y, z_y = quant_of(x).zero_point, F(scale_of(y)), quant_of(y).zero_point

    def fixed(row: Array) -> Array:
        root, shift = inverse_root(int((row * row).sum()))
        return np.asarray(multiply_by_quantized(row, root, shift + 7))

    def floating(row: Array) -> Array:
        norm = np.sqrt(F(max(int((row * row).sum()), 1)))
        return np.asarray(np.rint(row.astype(F) / norm / s_y).astype(np.int64) + z_y)

    compute = fixed if arithmetic.fixed_point else floating

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        pre = np.stack([compute(row) for row in _rows(inputs[0]).astype(np.int64) - z_x])
        store(pre, -128, 127, output, mask)

    return kernel


def l2_gradient(op: Op, tensors: Tensors, index: int) -> Compute:
    """Return (g - u Σ g u) / |x| with u = x / |x|."""
    x = tensors[op.inputs[0]]
    ratio = F(1 / scale_of(tensors[op.output]))

    def compute(g: Array, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Array:
        centred = inputs[0].astype(np.int64) - quant_of(x).zero_point
        norm = np.sqrt(np.maximum((centred * centred).sum(-1, keepdims=True), 1).astype(F))
        unit = centred.astype(F) / norm
        total = np.zeros(g.shape[:-1], F)
        for j in range(g.shape[-1]):
            total += g[..., j] * unit[..., j]
        return np.asarray((g - unit * total[..., None]) / norm * ratio).reshape(shape)

    return compute
