"""BATCH_MATMUL: the product of two int8 matrices, or of two stacks of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Op
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.reference.rescale import rescale, store
from mcusim.kernels.scales import quant_of, rescaling, scale_of

F = np.float32
Kernel = Callable[..., None]


def matrices(op: Op, inputs: tuple[Array, ...]) -> list[Array]:
    """Return both inputs as they are multiplied."""
    return [
        np.swapaxes(x, -1, -2) if turn else x for x, turn in zip(inputs, op.attributes.adjoint, strict=True)
    ]


def batch_matmul(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of BATCH_MATMUL."""
    a, b, y = (tensors[n] for n in (*op.inputs, op.output))
    zeros = [quant_of(t).zero_point for t in (a, b)]
    factor = np.array([scale_of(a) * scale_of(b) / scale_of(y)])
    r = rescaling(factor, quant_of(y).zero_point, op, arithmetic)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        # Sums of products stay far below 2**53: exact in float64.
        left, right = (x.astype(np.float64) - z for x, z in zip(matrices(op, inputs), zeros, strict=True))
        store(rescale((left @ right).astype(np.int64), r), r.low, r.high, output, mask)

    return kernel


def gradient(op: Op, tensors: Tensors, index: int) -> Callable[..., Array]:
    """Return the gradient with respect to one of the matrices; what is summed over ascends."""
    a, b, y = (tensors[n] for n in (*op.inputs, op.output))
    other = quant_of((a, b)[1 - index])
    factor = F(scale_of(a) * scale_of(b) / scale_of(y))

    def compute(g: Array, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Array:
        x = (matrices(op, inputs)[1 - index].astype(np.int64) - other.zero_point).astype(F) * factor
        # Of Y = A B: to A goes G transpose(B), to B goes transpose(A) G.
        left, right = (g, np.swapaxes(x, -1, -2)) if index == 0 else (np.swapaxes(x, -1, -2), g)
        stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        total = np.zeros((*stack, left.shape[-2], right.shape[-1]), F)
        for k in range(left.shape[-1]):
            total += left[..., :, k, None] * right[..., None, k, :]
        if op.attributes.adjoint[index]:
            total = np.swapaxes(total, -1, -2)
        return _summed(total, shape)

    return compute


def _summed(g: Array, shape: tuple[int, ...]) -> Array:
    """Sum over the stacks along which a matrix was broadcast, ascending."""
    wide = (1,) * (g.ndim - len(shape)) + shape
    for axis, size in enumerate(wide):
        if size == 1 and g.shape[axis] > 1:
            total = np.zeros_like(g.take([0], axis))
            for i in range(g.shape[axis]):
                total += g.take([i], axis)
            g = total
    return g.reshape(shape)
