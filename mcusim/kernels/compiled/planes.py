"""Planes of error tensors as float32, framed with zeros."""

from __future__ import annotations

import numpy as np

from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.errors import add_pixels, load_pixels, load_row
from mcusim.kernels.compiled.prepared import array_at
from mcusim.kernels.vector import simd


@inner
def clear_plane(a, several, wide, plane):  # type: ignore[no-untyped-def]
    """Write zeros into the plane of ``load_rows``, where not all of it is going to be written."""
    if a.plane_h != a.oh or a.plane_w != a.ow or several > 1:
        for i in range(0, several * a.plane_h * a.plane_w * wide * 4, 64):
            simd.store_f32(plane + i, simd.splat_f32(np.float32(0)))


@inner
def load_rows(a, scale, image, several, wide, plane, row, begin, end, sums):  # type: ignore[no-untyped-def]
    """Write ga of some rows of one image into a plane framed with zeros: [several][plane_h][plane_w][wide].

    The channels of depthwise ops with a multiplier are split by remainder; ``row`` holds one pixel. What is
    loaded is added to the ``sums`` of a bias's gradient, unless that is 0.
    """
    size = a.plane_h * a.plane_w * wide * 4
    for i in range(begin, end):
        line = plane + ((i + a.before_h) * a.plane_w + a.before_w) * wide * 4
        if several == 1:
            load_pixels(a, scale, (image * a.oh + i) * a.ow, a.ow, line, wide * 4)
            add_pixels(line, wide * 4, a.ow, a.c_out, sums)
            continue
        for j in range(a.ow):
            at = line + j * wide * 4
            load_row(a, scale, (image * a.oh + i) * a.ow + j, row)
            add_pixels(row, 0, 1, a.c_out, sums)
            values = array_at(row, a.c_out, np.float32)
            for c in range(a.c_out):
                array_at(at + (c % several) * size, wide, np.float32)[c // several] = values[c]


@inner
def load_needed(a, scale, image, several, wide, plane, row, y, loaded, sums):  # type: ignore[no-untyped-def]
    """Load the rows of output gradients that row ``y`` of the input's gradient needs and that are not there.

    Return how many are ``loaded``.
    """
    least = y + a.top - (a.kh - 1) * a.dilation_h
    begin = max((least + a.stride_h - 1) // a.stride_h, loaded)
    end = min((y + a.top) // a.stride_h + 1, a.oh)
    load_rows(a, scale, image, several, wide, plane, row, begin, end, sums)
    return max(loaded, end)
