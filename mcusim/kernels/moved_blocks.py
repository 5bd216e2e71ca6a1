"""Ops that only move elements, as blocks that are copied with strides, and as where each index comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Op, OpKind

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MovedBlock:
    """Elements that are copied together.

    Attributes:
        x, y: number of the first element in input and output.
        dims: how many along each dimension.
        x_stride, y_stride: elements from one to the next, in input and output; negative ones go backwards.
    """

    x: int
    y: int
    dims: Sequence[int]
    x_stride: Sequence[int]
    y_stride: Sequence[int]


def strides(shape: Sequence[int]) -> list[int]:
    """Return the distance in elements between neighbours along each dimension, C order."""
    return [prod(shape[i + 1 :]) for i in range(len(shape))]


Run = tuple[int, int, int, int]
"""Neighbouring outputs: first input, first output, how many, step in the input."""


BLOCKS = (OpKind.DEPTH_TO_SPACE, OpKind.SPACE_TO_DEPTH)
"""Ops that mix dimensions; the others treat each by itself."""


def runs(op: Op, axis: int, shape: Shape) -> list[Run]:
    """Return what becomes of one dimension of an input's shape."""
    a, size = op.attributes, shape[axis]
    axes = [x % len(shape) for x in a.axes]
    if op.kind is OpKind.TILE:
        return [(0, n * size, size, 1) for n in range(a.repeats[axis])]
    if op.kind is OpKind.MIRROR_PAD:
        before, after = a.pads[axis]
        edge = 0 if a.symmetric else 1
        found = [(before - 1 + edge, 0, before, -1), (0, before, size, 1)]
        found.append((size - 1 - edge, before + size, after, -1))
        return [run for run in found if run[2]]
    if axis in axes:
        at = axes.index(axis)
        if op.kind is OpKind.STRIDED_SLICE:
            return [(a.begin[at], 0, a.shape[at], a.step[at])]
        if op.kind is OpKind.REVERSE:
            return [(size - 1, 0, size, -1)]
        return [(index, n, 1, 1) for n, index in enumerate(a.indices)]
    return [(0, 0, size, 1)]


def moved_blocks(op: Op, x: Shape, y: Shape) -> Iterator[MovedBlock]:
    """Yield the blocks of an op of ``MOVES`` whose input and output have these shapes."""
    if op.kind in BLOCKS:
        yield from _blocks(op, x, y)
        return
    xs, ys = strides(x), strides(y)
    for chosen in product(*(runs(op, axis, x) for axis in range(len(x)))):
        yield MovedBlock(
            sum(run[0] * s for run, s in zip(chosen, xs, strict=True)),
            sum(run[1] * s for run, s in zip(chosen, ys, strict=True)),
            [run[2] for run in chosen],
            [run[3] * s for run, s in zip(chosen, xs, strict=True)],
            ys,
        )


def _blocks(op: Op, x: Shape, y: Shape) -> Iterator[MovedBlock]:
    """Rows of a block at a time: beside each other in one array, a row apart in the other."""
    b = op.attributes.block
    deep, wide = (x, y) if op.kind is OpKind.DEPTH_TO_SPACE else (y, x)
    near, far = strides(deep), strides(wide)
    run = deep[3] // b
    for row in range(b):
        dims = [deep[0], deep[1], deep[2], run]
        places = (row * run, near), (row * far[1], [far[0], b * far[1], run, 1])
        (first, own), (second, other) = places if op.kind is OpKind.DEPTH_TO_SPACE else places[::-1]
        yield MovedBlock(first, second, dims, own, other)


def origins(op: Op, axis: int, x: Shape) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Return where each input of a dimension went: outputs ascending, and where those of each input begin."""
    pairs = sorted(
        (first + n * step, out + n) for first, out, count, step in runs(op, axis, x) for n in range(count)
    )
    begins = np.searchsorted([source for source, _ in pairs], np.arange(x[axis] + 1))
    return np.array([out for _, out in pairs], np.uint16), begins.astype(np.uint16)
