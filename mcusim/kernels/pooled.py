"""A convolution and the pool behind it, row by row: the tensor between them never exists.

What a row of the pool reads is a band of a few rows of the convolution. It lies in a buffer as high as the
pool's window: rows that the next row of the pool reads again move to its top, and those that are missing are
computed below them, so no multiply-accumulate is done twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from mcusim.graph import Op
from mcusim.graph.traits import Family
from mcusim.kernels.arrays import Tensors
from mcusim.kernels.reach import Order, axes, row_bytes


class Turn(NamedTuple):
    """One row of the pool.

    Attributes:
        drop: rows at the top of the buffer that are not read any more.
        keep: rows behind them that are read again.
        convolution: of the rows to be made now, with the padding they meet; ``None`` if there are none.
        first, last: the input rows that these read.
        pool: of this row, with the padding it meets.
        held: rows in the buffer once they are made.
    """

    drop: int
    keep: int
    convolution: Op | None
    first: int
    last: int
    pool: Op
    held: int


def can_pool(convolution: Op, pool: Op, tensors: Tensors) -> bool:
    """True if a pool reads a convolution in bands that leave out no row, each of which meets the image."""
    families = convolution.traits.family is Family.CONVOLUTION and pool.traits.family is Family.POOL
    if not families or pool.inputs[0] != convolution.output:
        return False
    (size, made, window, stride, dilation, before), _ = axes(convolution, tensors)
    meets = before <= (window - 1) * dilation and (made - 1) * stride - before < size
    return meets and pool.attributes.kernel[0] >= pool.attributes.stride[0]


def band_rows(convolution: Op, pool: Op, tensors: Tensors) -> int:
    """Return the rows of the convolution that the buffer between the two holds."""
    return min(pool.attributes.kernel[0], tensors[convolution.output].shape[1])


def turns(convolution: Op, pool: Op, tensors: Tensors) -> Iterator[Turn]:
    """Yield what is done for each row of the pool, in order."""
    (size, made, window, stride, dilation, before), _ = axes(convolution, tensors)
    _, rows, height, step, _, above = axes(pool, tensors)[0]
    sides, beside = convolution.attributes.padding[1], pool.attributes.padding[1]
    top = done = 0
    for row in range(rows):
        start = row * step - above
        low, high = max(start, 0), min(start + height, made)
        band = replace(pool.attributes, padding=((low - start, start + height - high), beside))
        part, first, last = None, 0, 0
        if high > done:
            from_row = done * stride - before
            to_row = (high - 1) * stride - before + (window - 1) * dilation + 1
            first, last = max(from_row, 0), min(to_row, size)
            padding = ((first - from_row, to_row - last), sides)
            part = replace(convolution, attributes=replace(convolution.attributes, padding=padding))
        yield Turn(
            low - top, max(done - low, 0), part, first, last, replace(pool, attributes=band), high - low
        )
        top, done = low, max(done, high)


def pooled_order(convolution: Op, pool: Op, tensors: Tensors) -> Order:
    """Return the order in which the convolution's input is read and the pool's output written: row by row.

    A row of the pool is written once the rows of its window are made, so the next one reads no input before
    that of the first row of the convolution that is still missing. Between the taps of a dilated window other
    rows have theirs, so it counts as a window without gaps.
    """
    (size, _, window, stride, dilation, before), _ = axes(convolution, tensors)
    _, rows, height, step, _, above = axes(pool, tensors)[0]
    missing = (step + above - height) * stride + before
    read, written = row_bytes(tensors[convolution.inputs[0]]), row_bytes(tensors[pool.output])
    span = (size, rows, (window - 1) * dilation + 1, step * stride, 1, missing)
    return Order(span, (1, 1, 1, 1, 1, 0), read, written, backward=False, own=False)
