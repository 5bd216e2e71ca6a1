"""Ops that only move elements, each as a function of arrays; its gradient follows from where elements go."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Op, OpKind
from mcusim.kernels.arrays import Array, Tensors

Kernel = Callable[..., None]
Move = Callable[[Op, Array], Array]


def _slice(op: Op, x: Array) -> Array:
    a = op.attributes
    index = [slice(None)] * x.ndim
    for axis, first, step, count in zip(a.axes, a.begin, a.step, a.shape, strict=True):
        end = first + step * count
        index[axis] = slice(first, end if end >= 0 else None, step)
    return np.asarray(x[tuple(index)])


def _depth_to_space(op: Op, x: Array) -> Array:
    n, height, width, depth = x.shape
    b = op.attributes.block
    blocks = x.reshape(n, height, width, b, b, depth // (b * b)).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, height * b, width * b, depth // (b * b))


def _space_to_depth(op: Op, x: Array) -> Array:
    n, height, width, depth = x.shape
    b = op.attributes.block
    blocks = x.reshape(n, height // b, b, width // b, b, depth).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, height // b, width // b, depth * b * b)


MOVES: Mapping[OpKind, Move] = {
    OpKind.STRIDED_SLICE: _slice,
    OpKind.TILE: lambda op, x: np.tile(x, op.attributes.repeats),
    OpKind.GATHER: lambda op, x: np.take(x, op.attributes.indices, op.attributes.axes[0]),
    OpKind.REVERSE: lambda op, x: np.flip(x, op.attributes.axes),
    OpKind.MIRROR_PAD: lambda op, x: np.pad(
        x, op.attributes.pads, "symmetric" if op.attributes.symmetric else "reflect"
    ),
    OpKind.DEPTH_TO_SPACE: _depth_to_space,
    OpKind.SPACE_TO_DEPTH: _space_to_depth,
}
"""What each makes of an array of any type; the first dimension may be longer than the op's tensors say."""


def move(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of an op that moves elements."""

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        np.copyto(output, MOVES[op.kind](op, inputs[0]))

    return kernel


def gradient(op: Op, tensors: Tensors, index: int) -> Callable[..., Array]:
    """Return a function of (g, inputs, shape): an input element gets the sum of where it went, ascending."""

    def compute(g: Array, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Array:
        places = MOVES[op.kind](op, np.arange(np.prod(shape)).reshape(shape))
        g_x = np.zeros(int(np.prod(shape)), np.float32)
        np.add.at(g_x, places.reshape(-1), g.reshape(-1))
        return g_x.reshape(shape)

    return compute
