"""How far an output may reach into its input while an op runs: the order of the loops, and what it allows.

All kernels named here go over their output pixel after pixel, row by row (NHWC), and over the channels of a
pixel in their order. So an output that begins below its input may grow into what no later pixel reads. What
the pixel at hand reads is safe too, in one of three ways: it is copied first, into what ``scratch`` counts
(im2col columns, gradients of a pixel) or into registers, if it is small; each of its channels reads channels
no earlier than its own, which is the case for depthwise convolutions and pools; or the output begins so much
lower that it does not even reach what the pixel at hand reads.

The compiled kernels keep to that order; where they would read a whole image first, they do not do so when
output and input overlap (``rows`` of their records).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import DTYPES, Op, OpKind, Tensor
from mcusim.graph.traits import Family
from mcusim.kernels.arrays import Tensors

Axis = tuple[int, int, int, int, int, int]
"""(inputs, outputs, window, stride, dilation, padding before) along one dimension."""
FAR = 2**40
REGISTERS = 16
"""Bytes of one pixel that a kernel can hold in registers."""


@dataclass(frozen=True, slots=True)
class Order:
    """In which order an op reads one tensor and writes the other, pixel after pixel.

    Attributes:
        rows, columns: of the op's windows.
        read, written: bytes of a pixel of either tensor.
        backward: the op's outputs are read, and its inputs written.
        own: the pixel that is being written still reads too.
    """

    rows: Axis
    columns: Axis
    read: int
    written: int
    backward: bool
    own: bool

    @property
    def distance(self) -> int:
        """Bytes by which what is written has to begin below what is read, at the least."""
        return _distance(self)


def order(op: Op, tensors: Tensors) -> Order | None:
    """Return the order in which an op reads its first input and writes its output, at batch 1.

    ``None`` if it reads that input in another order, or all of it for every output.
    """
    x, y = tensors[op.inputs[0]], tensors[op.output]
    if op.traits.family in (Family.CONVOLUTION, Family.POOL):
        own = not _held(op, tensors, _pixel(x))
        return Order(*axes(op, tensors), _pixel(x), _pixel(y), backward=False, own=own)
    if op.traits.family in (Family.UNARY, Family.CONVERSION) and x.elements == y.elements:
        # Element after element: each is read before the one at its place is written.
        row = (x.elements, x.elements, 1, 1, 1, 0)
        return Order((1, 1, 1, 1, 1, 0), row, DTYPES[x.dtype], DTYPES[y.dtype], backward=False, own=False)
    return None


def gradient_order(op: Op, tensors: Tensors, error_bytes: int) -> Order | None:
    """Return the same for the gradient of a weighted op's input and that of its output.

    Args:
        op: whose input gradient is computed.
        tensors: the tensors of its network.
        error_bytes: bytes of an element of either.
    """
    if op.traits.family is not Family.CONVOLUTION:
        return None
    x, y = tensors[op.inputs[0]], tensors[op.output]
    read, written = (tensor.shape[-1] * error_bytes for tensor in (y, x))
    # Where pixels meet one to one, scratch holds one of them; a depthwise op has an error or more a channel.
    alike = _window(op, tensors) == op.attributes.stride == (1, 1) and x.shape[1:3] == y.shape[1:3]
    held = op.kind is OpKind.DEPTHWISE_CONV_2D or alike
    return Order(*axes(op, tensors), read, written, backward=True, own=not held)


def distance(op: Op, tensors: Tensors) -> int | None:
    """Return how many bytes below its first input the output of an op has to begin, at the least.

    ``None`` as for ``order``; 0 if the output never gets ahead of what is read.
    """
    found = order(op, tensors)
    return None if found is None else found.distance


def gradient_distance(op: Op, tensors: Tensors, error_bytes: int) -> int | None:
    """Return the same for the gradient of a weighted op's input, see ``gradient_order``."""
    found = gradient_order(op, tensors, error_bytes)
    return None if found is None else found.distance


def _held(op: Op, tensors: Tensors, read: int) -> bool:
    """True if no channel of a pixel reads what an earlier one of the same pixel has overwritten."""
    if op.kind is OpKind.CONV_2D:
        return _window(op, tensors) != (1, 1) or read <= REGISTERS
    return tensors[op.output].shape[-1] == tensors[op.inputs[0]].shape[-1]


def axes(op: Op, tensors: Tensors) -> tuple[Axis, Axis]:
    """Return the rows and the columns of an op with a window."""
    x, y, a = tensors[op.inputs[0]].shape, tensors[op.output].shape, op.attributes
    window = _window(op, tensors)
    rows, columns = (
        (x[1 + i], y[1 + i], window[i], a.stride[i], a.dilation[i], a.padding[i][0]) for i in range(2)
    )
    return rows, columns


def _window(op: Op, tensors: Tensors) -> tuple[int, int]:
    if not op.traits.weighted:
        return op.attributes.kernel
    _, height, width, _ = tensors[op.inputs[1]].shape
    return height, width


def row_bytes(tensor: Tensor) -> int:
    """Return the bytes of a row of an image, NHWC."""
    return tensor.shape[2] * _pixel(tensor)


def _pixel(tensor: Tensor) -> int:
    return tensor.shape[-1] * DTYPES[tensor.dtype]


@lru_cache(maxsize=4096)
def _distance(order: Order) -> int:
    """Return the largest lead of what is written over what is still read, 0 if there is none."""
    first = _first_output if order.backward else _first_input
    width = order.columns[1] if order.backward else order.columns[0]
    above, before = first(order.rows), first(order.columns)
    needed = (above[:, None] * width + before[None, :]).reshape(-1)
    # What any later pixel needs.
    later = np.minimum.accumulate(needed[::-1])[::-1][0 if order.own else 1 :]
    ends = np.arange(1, len(later) + 1) * order.written
    lead = (ends - later * order.read)[later < FAR]
    return max(int(lead.max(initial=0)), 0)


def _first_input(axis: Axis) -> NDArray[np.int64]:
    """Return for every output the first input its window meets; ``FAR`` if it meets padding only."""
    size, count, window, stride, dilation, before = axis
    taps = np.arange(count)[:, None] * stride - before + np.arange(window)[None, :] * dilation
    return _least(taps, (taps >= 0) & (taps < size))


def _first_output(axis: Axis) -> NDArray[np.int64]:
    """Return for every input the first output whose window meets it; ``FAR`` if there is none."""
    size, count, window, stride, dilation, before = axis
    at = np.arange(size)[:, None] + before - np.arange(window)[None, :] * dilation
    return _least(at // stride, (at >= 0) & (at % stride == 0) & (at // stride < count))


def _least(places: NDArray[np.int64], met: NDArray[np.bool_]) -> NDArray[np.int64]:
    first: NDArray[np.int64] = np.where(met, places, FAR).min(axis=1)
    return first
