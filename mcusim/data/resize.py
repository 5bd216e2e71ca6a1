"""Bilinear resizing of pictures in integers, as a microcontroller would do it.

Output pixel ``i`` of ``n`` samples the input at ``(i + 1/2) * m / n - 1/2`` (half-pixel centres, edges
repeated, no antialiasing: PyTorch's ``interpolate(mode="bilinear", align_corners=False)``). The two
weights of an axis are integers that sum to 2048; the weighted sum of the four pixels is rounded half up
to sixty-fourths of a grey level, which a table then turns into the network's input.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

WEIGHT_ONE = 2048
FRACTION_BITS = 6
"""A resized pixel is an integer number of 1/64 grey levels: 0 to 16,320."""
LEVELS = 255 * 2**FRACTION_BITS + 1
_SHIFT = 22 - FRACTION_BITS


def taps(source: int, target: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the first of the two input indices and the weight (of 2048) of the second, for one axis."""
    # In units of 1 / (2 * target): exact integers.
    position = np.maximum((2 * np.arange(target, dtype=np.int64) + 1) * source - target, 0)
    first = position // (2 * target)
    weight = ((position - first * 2 * target) * WEIGHT_ONE + target) // (2 * target)
    last = first >= source - 1
    return np.where(last, source - 1, first).astype(np.int32), np.where(last, 0, weight).astype(np.int32)


def resize(
    images: NDArray[np.uint8],
    flip: NDArray[np.bool_],
    shift: NDArray[np.int32],
    table: NDArray[np.generic],
    output: NDArray[np.generic],
) -> None:
    """Shift, mirror and resize pictures and look every value up in ``table``.

    Args:
        images: ``uint8 [N, H, W, C]``.
        flip: ``bool [N]``: mirror left and right after shifting.
        shift: ``int32 [N, 2]``: input pixel (y, x) of the picture is (y + dy, x + dx) of the image;
            pixels outside repeat the edge.
        table: ``[C, 16321]``: value of each sixty-fourth of a grey level.
        output: ``[N, h, w, C]``, of the table's type; overwritten.
    """
    y0, wy = taps(images.shape[1], output.shape[1])
    x0, wx = taps(images.shape[2], output.shape[2])
    row = np.empty((images.shape[2], images.shape[3]), np.int32)
    _resize(images, flip, shift, y0, wy, x0, wx, table, row, output)


@njit(cache=True, nogil=True, error_model="numpy")
def _resize(images, flip, shift, y0, wy, x0, wx, table, row, output):  # type: ignore[no-untyped-def]
    count, height, width, channels = images.shape
    for n in range(count):
        dy, dx = shift[n, 0], shift[n, 1]
        for i in range(output.shape[1]):
            top = min(max(y0[i] + dy, 0), height - 1)
            bottom = min(max(min(y0[i] + 1, height - 1) + dy, 0), height - 1)
            below = wy[i]
            for x in range(width):
                column = min(max(x + dx, 0), width - 1)
                place = width - 1 - x if flip[n] else x
                for c in range(channels):
                    a, b = np.int32(images[n, top, column, c]), np.int32(images[n, bottom, column, c])
                    row[place, c] = a * (WEIGHT_ONE - below) + b * below
            for j in range(output.shape[2]):
                left, right = x0[j], min(x0[j] + 1, width - 1)
                after = wx[j]
                for c in range(channels):
                    total = row[left, c] * (WEIGHT_ONE - after) + row[right, c] * after
                    output[n, i, j, c] = table[c, (total + (1 << (_SHIFT - 1))) >> _SHIFT]
