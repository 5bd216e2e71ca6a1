"""Kernels of int8 weighted ops whose sums become outputs in registers, one a kind of op and profile.

`fused_record` makes their records; `vector.fused.FIELDS` are the fields.
"""

from __future__ import annotations

import numpy as np

from mcusim.graph import Arithmetic
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.staging import copy, fill, flip
from mcusim.kernels.vector import columns, fused
from mcusim.kernels.vector.fused import AT, FLOAT, TFLITE, TINYENGINE
from mcusim.kernels.vector.simd import int64_at, splat_i32, store_i32_first

X, WORKSPACE, Z_X, N, H, W, OH, OW, KH, C_IN, C_OUT, QUADS = (
    AT[name] for name in ("x", "workspace", "z_x", "n", "h", "w", "oh", "ow", "kh", "c_in", "c_out", "quads")
)
STRIDE_H, DILATION_H, TOP, LEFT, PLANE_W, OVERLAPS = (
    AT[name] for name in ("stride_h", "dilation_h", "top", "left", "plane_w", "overlaps")
)

_POINTWISE = [fused.pointwise(profile) for profile in (FLOAT, TFLITE, TINYENGINE)]
_WINDOW_LINE = [fused.window_line(profile) for profile in (FLOAT, TFLITE, TINYENGINE)]
_THREE = [columns.two_rows_of_three(profile) for profile in (FLOAT, TFLITE, TINYENGINE)]
_ANY = [columns.any_window(profile) for profile in (FLOAT, TFLITE, TINYENGINE)]
_pointwise_float, _pointwise_tflite, _pointwise_tinyengine = _POINTWISE
_line_float, _line_tflite, _line_tinyengine = _WINDOW_LINE
_three_float, _three_tflite, _three_tinyengine = _THREE
_any_float, _any_tflite, _any_tinyengine = _ANY


@inner
def get(record, at):  # type: ignore[no-untyped-def]
    """Return a field of the record at an address."""
    return int64_at(record + at)


@inner
def rows(record, image, first, count, target):  # type: ignore[no-untyped-def]
    """Copy rows of one image from row ``first`` on, flipped and padded to ``plane_w`` pixels a row."""
    c, h, w = get(record, C_IN), get(record, H), get(record, W)
    width, left = get(record, PLANE_W), get(record, LEFT)
    nothing = 128 + get(record, Z_X)
    inside = min(w, width - left)
    for i in range(count):
        row, y = target + i * width * c, first + i
        if y < 0 or y >= h:
            fill(row, nothing, width * c)
        else:
            fill(row, nothing, left * c)
            flip(get(record, X) + (image * h + y) * w * c, row + left * c, inside * c)
            fill(row + (left + inside) * c, nothing, (width - left - inside) * c)


@inner
def window_rows(record):  # type: ignore[no-untyped-def]
    """Return the rows that one line of windows reads."""
    return (get(record, KH) - 1) * get(record, DILATION_H) + 1


@inner
def plane(record, image, target):  # type: ignore[no-untyped-def]
    """Copy one image, unless the output grows over it: then each line copies the rows that it reads."""
    if get(record, OVERLAPS) == 0:
        count = (get(record, OH) - 1) * get(record, STRIDE_H) + window_rows(record)
        rows(record, image, -get(record, TOP), count, target)


@inner
def line_of(record, image, i, target):  # type: ignore[no-untyped-def]
    """Return where line ``i`` of windows begins."""
    if get(record, OVERLAPS) == 0:
        return target + i * get(record, STRIDE_H) * get(record, PLANE_W) * get(record, C_IN)
    rows(record, image, i * get(record, STRIDE_H) - get(record, TOP), window_rows(record), target)
    return target


@inner
def columns_filled(target, value, count):  # type: ignore[no-untyped-def]
    """Set ``count`` int32."""
    for i in range(0, count, 16):
        store_i32_first(target + 4 * i, splat_i32(np.int32(value)), min(count - i, 16))


@inner
def borders(record, lines, count):  # type: ignore[no-untyped-def]
    """Fill what lies left and right of the image in ``count`` lines; return where a row of padding lies."""
    c, w, width, left = get(record, C_IN), get(record, W), get(record, PLANE_W), get(record, LEFT)
    nothing = (128 + get(record, Z_X)) * 0x01010101
    for i in range(count):
        line = lines + i * width * c * 4
        columns_filled(line, nothing, left * c)
        columns_filled(line + (left + w) * c * 4, nothing, (width - left - w) * c)
    empty = lines + count * width * c * 4
    fill(empty, get(record, Z_X), w * c)
    return empty


@inner
def source(record, saved):  # type: ignore[no-untyped-def]
    """Return where to read the input: where it lies, or a copy if the output lies on it."""
    x = get(record, X)
    if get(record, OVERLAPS) == 0:
        return x
    copy(x, saved, get(record, N) * get(record, H) * get(record, W) * get(record, C_IN))
    return saved


@inner
def row_of(record, image, y, empty):  # type: ignore[no-untyped-def]
    """Return the address of a row of an image, or of padding."""
    h = get(record, H)
    if y < 0 or y >= h:
        return empty
    return image + y * get(record, W) * get(record, C_IN)


@inner
def weave(record, image, first, line, empty):  # type: ignore[no-untyped-def]
    """Interleave four rows, ``dilation_h`` apart, into a line."""
    step, c = get(record, DILATION_H), get(record, C_IN)
    columns.interleave(
        row_of(record, image, first, empty), row_of(record, image, first + step, empty),
        row_of(record, image, first + 2 * step, empty), row_of(record, image, first + 3 * step, empty),
        line + get(record, LEFT) * c * 4, get(record, W) * c,
    )  # fmt: skip


@inner
def image_bytes(record):  # type: ignore[no-untyped-def]
    """Return the bytes of one image of the input."""
    return get(record, H) * get(record, W) * get(record, C_IN)


@compiled
def pointwise_float(record):  # type: ignore[no-untyped-def]
    """1x1 convolution, or fully connected op."""
    _pointwise_float(record)


@compiled
def window_float(record):  # type: ignore[no-untyped-def]
    """Convolution over windows, straight from a padded plane."""
    target = int64_at(get(record, WORKSPACE))
    oh, width = get(record, OH), get(record, OW) * get(record, C_OUT)
    for image in range(get(record, N)):
        plane(record, image, target)
        for i in range(oh):
            _line_float(record, line_of(record, image, i, target), (image * oh + i) * width)


@compiled
def three_float(record):  # type: ignore[no-untyped-def]
    """Depthwise convolution over 3x3 windows at stride 1, two lines at a time."""
    line = int64_at(get(record, WORKSPACE))
    empty = borders(record, line, 1)
    x = source(record, empty + get(record, W) * get(record, C_IN) + 64)
    oh, width = get(record, OH), get(record, OW) * get(record, C_OUT)
    for image in range(get(record, N)):
        for i in range(0, oh, 2):
            first = min(i, oh - 2)
            weave(record, x + image * image_bytes(record), first - get(record, TOP), line, empty)
            element = (image * oh + first) * width
            _three_float(record, line, element, element + width)


@compiled
def any_float(record):  # type: ignore[no-untyped-def]
    """Depthwise convolution over any windows, a line at a time."""
    lines, count = int64_at(get(record, WORKSPACE)), get(record, QUADS)
    empty = borders(record, lines, count)
    x = source(record, empty + get(record, W) * get(record, C_IN) + 64)
    size = get(record, PLANE_W) * get(record, C_IN) * 4
    oh, width = get(record, OH), get(record, OW) * get(record, C_OUT)
    for image in range(get(record, N)):
        for i in range(oh):
            top = i * get(record, STRIDE_H) - get(record, TOP)
            for k in range(count):
                first = top + 4 * k * get(record, DILATION_H)
                weave(record, x + image * image_bytes(record), first, lines + k * size, empty)
            _any_float(record, lines, (image * oh + i) * width)


@compiled
def pointwise_tflite(record):  # type: ignore[no-untyped-def]
    """1x1 convolution, or fully connected op."""
    _pointwise_tflite(record)


@compiled
def window_tflite(record):  # type: ignore[no-untyped-def]
    """Convolution over windows, straight from a padded plane."""
    target = int64_at(get(record, WORKSPACE))
    oh, width = get(record, OH), get(record, OW) * get(record, C_OUT)
    for image in range(get(record, N)):
        plane(record, image, target)
        for i in range(oh):
            _line_tflite(record, line_of(record, image, i, target), (image * oh + i) * width)


@compiled
def three_tflite(record):  # type: ignore[no-untyped-def]
    """Depthwise convolution over 3x3 windows at stride 1, two lines at a time."""
    line = int64_at(get(record, WORKSPACE))
    empty = borders(record, line, 1)
    x = source(record, empty + get(record, W) * get(record, C_IN) + 64)
    oh, width = get(record, OH), get(record, OW) * get(record, C_OUT)
    for image in range(get(record, N)):
        for i in range(0, oh, 2):
            first = min(i, oh - 2)
            weave(record, x + image * image_bytes(record), first - get(record, TOP), line, empty)
            element = (image * oh + first) * width
            _three_tflite(record, line, element, element + width)


@compiled
def any_tflite(record):  # type: ignore[no-untyped-def]
    """Depthwise convolution over any windows, a line at a time."""
    lines, count = int64_at(get(record, WORKSPACE)), get(record, QUADS)
    empty = borders(record, lines, count)
    x = source(record, empty + get(record, W) * get(record, C_IN) + 64)
    size = get(record, PLANE_W) * get(record, C_IN) * 4
    oh, width = get(record, OH), get(record, OW) * get(record, C_OUT)
    for image in range(get(record, N)):
        for i in range(oh):
            top = i * get(record, STRIDE_H) - get(record, TOP)
            for k in range(count):
                first = top + 4 * k * get(record, DILATION_H)
                weave(record, x + image * image_bytes(record), first, lines + k * size, empty)
            _any_tflite(record, lines, (image * oh + i) * width)


@compiled
def pointwise_tinyengine(record):  # type: ignore[no-untyped-def]
    """1x1 convolution, or fully connected op."""
    _pointwise_tinyengine(record)


@compiled
def window_tinyengine(record):  # type: ignore[no-untyped-def]
    """Convolution over windows, straight from a padded plane."""
    target = int64_at(get(record, WORKSPACE))
    oh, width = get(record, OH), get(record, OW) * get(record, C_OUT)
    for image in range(get(record, N)):
        plane(record, image, target)
        for i in range(oh):
            _line_tinyengine(record, line_of(record, image, i, target), (image * oh + i) * width)


@compiled
def three_tinyengine(record):  # type: ignore[no-untyped-def]
    """Depthwise convolution over 3x3 windows at stride 1, two lines at a time."""
    line = int64_at(get(record, WORKSPACE))
    empty = borders(record, line, 1)
    x = source(record, empty + get(record, W) * get(record, C_IN) + 64)
    oh, width = get(record, OH), get(record, OW) * get(record, C_OUT)
    for image in range(get(record, N)):
        for i in range(0, oh, 2):
            first = min(i, oh - 2)
            weave(record, x + image * image_bytes(record), first - get(record, TOP), line, empty)
            element = (image * oh + first) * width
            _three_tinyengine(record, line, element, element + width)


@compiled
def any_tinyengine(record):  # type: ignore[no-untyped-def]
    """Depthwise convolution over any windows, a line at a time."""
    lines, count = int64_at(get(record, WORKSPACE)), get(record, QUADS)
    empty = borders(record, lines, count)
    x = source(record, empty + get(record, W) * get(record, C_IN) + 64)
    size = get(record, PLANE_W) * get(record, C_IN) * 4
    oh, width = get(record, OH), get(record, OW) * get(record, C_OUT)
    for image in range(get(record, N)):
        for i in range(oh):
            top = i * get(record, STRIDE_H) - get(record, TOP)
            for k in range(count):
                first = top + 4 * k * get(record, DILATION_H)
                weave(record, x + image * image_bytes(record), first, lines + k * size, empty)
            _any_tinyengine(record, lines, (image * oh + i) * width)


ENTRIES = {
    Arithmetic.FLOAT: (pointwise_float, window_float, three_float, any_float),
    Arithmetic.TFLITE: (pointwise_tflite, window_tflite, three_tflite, any_tflite),
    Arithmetic.LITERT: (pointwise_tflite, window_tflite, three_tflite, any_tflite),
    Arithmetic.TINYENGINE: (pointwise_tinyengine, window_tinyengine, three_tinyengine, any_tinyengine),
}
"""Kernels of pointwise, other, 3x3 depthwise and other depthwise convolutions."""
