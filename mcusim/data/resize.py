"""Bilinear resizing of pictures in integers, as a microcontroller would do it.

Output pixel ``i`` of ``n`` samples the input at ``(i + 1/2) * m / n - 1/2`` (half-pixel centres, edges
repeated, no antialiasing: PyTorch's ``interpolate(mode="bilinear", align_corners=False)``). The two
weights of an axis are integers that sum to 2048; the weighted sum of the four pixels is rounded half up
to sixty-fourths of a grey level, which a table then turns into the network's input.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcusim.core.jit import njit
from mcusim.data.placement import WHOLE, Placement

WEIGHT_ONE = 2048
FRACTION_BITS = 6
"""A resized pixel is an integer number of 1/64 grey levels: 0 to 16,320."""
LEVELS = 255 * 2**FRACTION_BITS + 1
_SHIFT = 22 - FRACTION_BITS


def taps(
    source: int, target: int, origin: NDArray[np.int64] | None = None, side: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the first of the two input indices and the weight (of 2048) of the second, for one axis.

    Args:
        source: pixels of the picture.
        target: pixels of the output.
        origin: ``[N]``: start of each picture's window, in 1/65536 of the axis; None for one whole picture.
        side: ``[N]``: length of each window, likewise.

    Returns:
        two arrays of shape ``[N, target]``.
    """
    origin = np.zeros(1, np.int64) if origin is None else origin
    side = np.full(1, WHOLE, np.int64) if side is None else side
    # In units of 1 / (2 * WHOLE * target): exact integers.
    unit = 2 * WHOLE * target
    middle = (2 * np.arange(target, dtype=np.int64) + 1) * side[:, None] * source
    position = np.maximum(origin[:, None] * (2 * target * source) + middle - unit // 2, 0)
    first = position // unit
    weight = ((position - first * unit) * WEIGHT_ONE + unit // 2) // unit
    last = first >= source - 1
    return np.where(last, source - 1, first).astype(np.int32), np.where(last, 0, weight).astype(np.int32)


def resize(
    images: NDArray[np.uint8], place: Placement, table: NDArray[np.generic], output: NDArray[np.generic]
) -> None:
    """Cut out, resize, shift and mirror pictures and look every value up in ``table``.

    Args:
        images: ``uint8 [N, H, W, C]``.
        place: what each picture shows.
        table: ``[C, 16321]``: value of each sixty-fourth of a grey level.
        output: ``[N, h, w, C]``, of the table's type; overwritten.
    """
    _, height, width, channels = images.shape
    top, below = taps(height, output.shape[1], place.origin[:, 0], place.side)
    left, after = taps(width, output.shape[2], place.origin[:, 1], place.side)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    flip = place.flip[:, None]
    rows = [_inside(at + place.shift[:, :1], height) for at in (top, bottom)]
    columns = [
        _inside(np.where(flip, width - 1 - at, at) + place.shift[:, 1:], width) for at in (left, right)
    ]
    row = np.empty((width, channels), np.int32)
    _resize(images, *rows, below, *columns, after, table, row, output)


def _inside(at: NDArray[np.integer], length: int) -> NDArray[np.int32]:
    inside: NDArray[np.int32] = np.clip(at, 0, length - 1).astype(np.int32)
    return inside


@njit(cache=True, nogil=True, error_model="numpy")
def _resize(images, top, bottom, below, left, right, after, table, row, output):  # type: ignore[no-untyped-def]
    count, _, width, channels = images.shape
    for n in range(count):
        for i in range(output.shape[1]):
            upper, lower, part = top[n, i], bottom[n, i], below[n, i]
            for x in range(width):
                for c in range(channels):
                    a, b = np.int32(images[n, upper, x, c]), np.int32(images[n, lower, x, c])
                    row[x, c] = a * (WEIGHT_ONE - part) + b * part
            for j in range(output.shape[2]):
                near, far, share = left[n, j], right[n, j], after[n, j]
                for c in range(channels):
                    total = row[near, c] * (WEIGHT_ONE - share) + row[far, c] * share
                    output[n, i, j, c] = table[c, (total + (1 << (_SHIFT - 1))) >> _SHIFT]
