"""Convolutions whose weights do not learn here: in groups of channels, and transposed.

Sums of products stay far below 2**53: products of matrices in float64 are exact. Gradients sum output
channels ascending within a tap, taps in row-major order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Op
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.reference.rescale import rescale, store
from mcusim.kernels.reference.window import taps
from mcusim.kernels.scales import accumulator_factors, gradient_factors, quant_of, rescaling

F = np.float32
Kernel = Callable[..., None]
Tap = tuple[int, int, tuple[slice, ...], tuple[slice, ...]]


def meeting(op: Op, x_shape: tuple[int, ...], y_shape: tuple[int, ...], weight: Array) -> list[Tap]:
    """Return (i, j, pixels of x, pixels of y) that meet through W[:, i, j] of a transposed convolution."""
    # It is a convolution from what it gives to what it takes.
    found = taps(op, y_shape, x_shape, weight.shape[1:3])
    return [(i, j, outside, inside) for i, j, inside, outside in found]


def _groups(x: Array, weight: Array) -> Iterator[tuple[slice, slice]]:
    """Yield the channels of the input and of the output that belong together."""
    depth, count = weight.shape[3], x.shape[3] // weight.shape[3]
    each = weight.shape[0] // count
    for g in range(count):
        yield slice(g * depth, (g + 1) * depth), slice(g * each, (g + 1) * each)


def grouped_sums(op: Op, x: Array, weight: Array, shape: tuple[int, ...]) -> Array:
    """Return Σ x * W of a convolution in groups: in float64, without zero points."""
    acc = np.zeros(shape, np.float64)
    for i, j, inside, outside in taps(op, x.shape, shape, weight.shape[1:3]):
        for read, written in _groups(x, weight):
            acc[outside][..., written] += x[inside][..., read] @ weight[written, i, j].T
    return acc


def transposed_sums(op: Op, x: Array, weight: Array, shape: tuple[int, ...]) -> Array:
    """Return the same of a transposed convolution."""
    acc = np.zeros(shape, np.float64)
    for i, j, inside, outside in meeting(op, x.shape, shape, weight):
        acc[outside] += x[inside] @ weight[:, i, j].T
    return acc


def _kernel(accumulate: Callable[[Op, Array, Array, tuple[int, ...]], Array]) -> Callable[..., Kernel]:
    def make(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
        x, w = (quant_of(tensors[n]).zero_point for n in op.inputs[:2])
        r = rescaling(
            accumulator_factors(op, tensors), quant_of(tensors[op.output]).zero_point, op, arithmetic
        )

        def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
            real = (inputs[0].astype(np.float64) - x, inputs[1].astype(np.float64) - w)
            acc = accumulate(op, *real, output.shape).astype(np.int64)
            if len(inputs) > 2:
                acc = acc + inputs[2].astype(np.int64)
            store(rescale(acc, r), r.low, r.high, output, mask)

        return kernel

    return make


grouped = _kernel(grouped_sums)
"""Makes the kernel of GROUPED_CONV_2D."""
transposed = _kernel(transposed_sums)
"""Makes the kernel of TRANSPOSE_CONV."""


def _weight(op: Op, tensors: Tensors) -> Array:
    weight = tensors[op.inputs[1]]
    assert weight.data is not None
    return weight.data.astype(F) - F(quant_of(weight).zero_point)


def grouped_gradient(op: Op, tensors: Tensors, index: int) -> Callable[..., Array]:
    """Return the gradient of GROUPED_CONV_2D with respect to its input."""
    weight, factors = _weight(op, tensors), gradient_factors(op, tensors)

    def compute(g: Array, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Array:
        ga, g_x = g * factors, np.zeros(shape, F)
        for i, j, inside, outside in taps(op, shape, g.shape, weight.shape[1:3]):
            for read, written in _groups(g_x, weight):
                for c in range(written.start, written.stop):
                    g_x[inside][..., read] += ga[outside][..., c, None] * weight[c, i, j]
        return g_x

    return compute


def transposed_gradient(op: Op, tensors: Tensors, index: int) -> Callable[..., Array]:
    """Return the gradient of TRANSPOSE_CONV with respect to its input."""
    weight, factors = _weight(op, tensors), gradient_factors(op, tensors)

    def compute(g: Array, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Array:
        ga, g_x = g * factors, np.zeros(shape, F)
        for i, j, inside, outside in meeting(op, shape, g.shape, weight):
            for c in range(weight.shape[0]):
                g_x[inside] += ga[outside][..., c, None] * weight[c, i, j]
        return g_x

    return compute
