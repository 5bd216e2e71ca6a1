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


def accumulate(op: Op, x: Array, weight: Array) -> Array:
    """Return Σ x * W over the window: x [N, H, W, C] without zero point, result [N, OH, OW, C_out]."""
    if op.kind is OpKind.FULLY_CONNECTED:
        return x.reshape(-1, weight.shape[1]) @ weight.T
    acc: Array = np.zeros(1, np.int64)
    for i, row in enumerate(windows(x, weight.shape[1:3], op, 0)):
        for j, patch in enumerate(row):
            if op.kind is OpKind.DEPTHWISE_CONV_2D:
                multiplier = weight.shape[3] // x.shape[3]
                acc = acc + np.repeat(patch, multiplier, axis=3) * weight[0, i, j]
            else:
                # Products and sums stay far below 2**53: a float64 product of matrices is exact.
                product = patch.astype(np.float64) @ weight[:, i, j].T.astype(np.float64)
                acc = acc + product.astype(np.int64)
    return acc
