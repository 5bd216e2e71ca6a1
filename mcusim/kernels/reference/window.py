"""Which elements of an input meet which elements of an output through a window."""

from __future__ import annotations

import numpy as np

from mcusim.graph import Op, OpKind
from mcusim.kernels.arrays import Array


def windows(x: Array, kernel: tuple[int, int], op: Op, fill: int) -> list[list[Array]]:
    """Return, for every tap of a window, the input elements it meets: [kh][kw] of [N, OH, OW, C].

    Padding holds ``fill``.
    """
    a = op.attributes
    padded = np.pad(x, ((0, 0), *a.padding, (0, 0)), constant_values=fill)
    sizes = [(padded.shape[1 + i] - (kernel[i] - 1) * a.dilation[i] - 1) // a.stride[i] + 1 for i in range(2)]
    taps = []
    for i in range(kernel[0]):
        row = []
        for j in range(kernel[1]):
            top, left = i * a.dilation[0], j * a.dilation[1]
            rows = slice(top, top + (sizes[0] - 1) * a.stride[0] + 1, a.stride[0])
            columns = slice(left, left + (sizes[1] - 1) * a.stride[1] + 1, a.stride[1])
            row.append(padded[:, rows, columns])
        taps.append(row)
    return taps


def taps(
    op: Op, x_shape: tuple[int, ...], y_shape: tuple[int, ...], kernel: tuple[int, ...]
) -> list[tuple[int, int, tuple[slice, ...], tuple[slice, ...]]]:
    """Return (i, j, pixels of x, pixels of y) for every tap: where x and y meet through W[i, j]."""
    a = op.attributes
    met = []
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            x_index: list[slice] = [slice(None)]
            y_index: list[slice] = [slice(None)]
            for d, tap in enumerate((i, j)):
                offset = tap * a.dilation[d] - a.padding[d][0]
                first = max(0, -(offset // a.stride[d]))
                last = min(y_shape[1 + d], (x_shape[1 + d] - 1 - offset) // a.stride[d] + 1)
                start = first * a.stride[d] + offset
                stop = max(start, (last - 1) * a.stride[d] + offset + 1)
                x_index.append(slice(start, stop, a.stride[d]))
                y_index.append(slice(first, max(first, last)))
            met.append((i, j, tuple(x_index), tuple(y_index)))
    return met


def meeting(
    op: Op, x_shape: tuple[int, ...], y_shape: tuple[int, ...], kernel: tuple[int, ...]
) -> list[tuple[int, int, tuple[slice, ...], tuple[slice, ...]]]:
    """Return the same of any weighted op with a window, a transposed convolution included."""
    if op.kind is not OpKind.TRANSPOSE_CONV:
        return taps(op, x_shape, y_shape, kernel)
    # It is a convolution from what it gives to what it takes.
    return [(i, j, outside, inside) for i, j, inside, outside in taps(op, y_shape, x_shape, kernel)]


def accumulate(op: Op, x: Array, weight: Array) -> Array:
    """Return Σ x * W over the window: x [N, H, W, C] without zero point, result [N, OH, OW, C_out]."""
    if op.kind is OpKind.FULLY_CONNECTED:
        return x.reshape(-1, weight.shape[1]) @ weight.T
    if op.kind is OpKind.DEPTHWISE_CONV_2D:
        return _by_channel(op, x, weight)
    # Products and sums stay far below 2**53: a float64 product of matrices is exact.
    x, weight = x.astype(np.float64), weight.astype(np.float64)
    if op.kind is OpKind.TRANSPOSE_CONV:
        acc = np.zeros((len(x), *op.attributes.shape[1:]))
        for i, j, inside, outside in meeting(op, x.shape, acc.shape, weight.shape[1:3]):
            acc[outside] += x[inside] @ weight[:, i, j].T
        return acc.astype(np.int64)
    acc = np.zeros(1)
    for i, row in enumerate(windows(x, weight.shape[1:3], op, 0)):
        for j, patch in enumerate(row):
            met = [patch[..., r] @ weight[w, i, j].T for r, w in channel_groups(x.shape[3], weight.shape)]
            acc = acc + np.concatenate(met, axis=-1)
    return acc.astype(np.int64)


def channel_groups(inputs: int, weight: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Return the channels of the input and of the output that belong together, of a weight (C_out, .., n)."""
    depth, count = weight[-1], inputs // weight[-1]
    each = weight[0] // count
    return [(slice(g * depth, (g + 1) * depth), slice(g * each, (g + 1) * each)) for g in range(count)]


def _by_channel(op: Op, x: Array, weight: Array) -> Array:
    acc: Array = np.zeros(1, np.int64)
    multiplier = weight.shape[3] // x.shape[3]
    for i, row in enumerate(windows(x, weight.shape[1:3], op, 0)):
        for j, patch in enumerate(row):
            acc = acc + np.repeat(patch, multiplier, axis=3) * weight[0, i, j]
    return acc
