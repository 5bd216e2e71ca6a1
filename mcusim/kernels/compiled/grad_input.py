"""Gradients of weighted ops with respect to their input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.graph import Op, OpKind
from mcusim.kernels.arrays import Array, Tensors, constant
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.errors import (
    FLOAT32,
    STATISTICS_BYTES,
    clear_statistics,
    load_row,
    read_statistics,
    store_row,
)
from mcusim.kernels.compiled.grad_record import PIXEL_BY_PIXEL, RECORD, ROW_BY_ROW, Gradient, tile_rows
from mcusim.kernels.compiled.prepared import (
    GradInputKernel,
    Workspace,
    address_of,
    aligned,
    array_at,
    check,
    record_at,
    shares_bytes,
)
from mcusim.kernels.number_formats import ERRORS
from mcusim.kernels.vector import simd, tiles

PIXELS = tiles.PIXELS


@inner
def convert(a, wide, floats):  # type: ignore[no-untyped-def]
    """Write weights [C_out][tap][C_in] as float32 [tap][C_out][wide], zero beyond C_in."""
    taps, c_out, c_in, weight, real = a.kh * a.kw, a.c_out, a.c_in, a.weight, a.weight_float
    z = simd.splat_f32(np.float32(a.z_w))
    for c in range(c_out):
        for t in range(taps):
            source, target = (c * taps + t) * c_in, floats + (t * c_out + c) * wide * 4
            for k in range(0, wide, 16):
                if not real and c_in - k >= 16:
                    simd.store_f32(target + 4 * k, simd.to_f32(simd.load_s8(weight + source + k)) - z)
                    continue
                count = min(c_in - k, 16)
                if real:
                    value = simd.load_f32_first(weight + 4 * (source + k), count)
                else:
                    value = simd.to_f32(simd.load_s8_first(weight + source + k, count)) - z
                simd.store_f32(target + 4 * k, simd.where((1 << count) - 1, value))


@inner
def clear_plane(a, several, wide, plane):  # type: ignore[no-untyped-def]
    """Write zeros into the plane of ``load_rows``, where not all of it is going to be written."""
    if a.plane_h != a.oh or a.plane_w != a.ow or several > 1:
        for i in range(0, several * a.plane_h * a.plane_w * wide * 4, 64):
            simd.store_f32(plane + i, simd.splat_f32(np.float32(0)))


@inner
def load_rows(a, scale, image, several, wide, plane, row, begin, end):  # type: ignore[no-untyped-def]
    """Write ga of some rows of one image into a plane framed with zeros: [several][plane_h][plane_w][wide].

    The channels of depthwise ops with a multiplier are split by remainder; ``row`` holds one pixel.
    """
    size = a.plane_h * a.plane_w * wide * 4
    for i in range(begin, end):
        for j in range(a.ow):
            at = plane + ((i + a.before_h) * a.plane_w + j + a.before_w) * wide * 4
            pixel = (image * a.oh + i) * a.ow + j
            if several == 1:
                load_row(a, scale, pixel, at)
                continue
            load_row(a, scale, pixel, row)
            values = array_at(row, a.c_out, np.float32)
            for c in range(a.c_out):
                array_at(at + (c % several) * size, wide, np.float32)[c // several] = values[c]


@inner
def load_needed(a, scale, image, several, wide, plane, row, y):  # type: ignore[no-untyped-def]
    """Load the rows of output gradients that row ``y`` of the input's gradient needs."""
    least = y + a.top - (a.kh - 1) * a.dilation_h
    begin = max((least + a.stride_h - 1) // a.stride_h, 0)
    load_rows(a, scale, image, several, wide, plane, row, begin, min((y + a.top) // a.stride_h + 1, a.oh))


@inner
def sum_tiles(a, a_row, a_step, w, w_step, steps, out, out_stride, blocks, fresh):  # type: ignore[no-untyped-def]
    """Write a tile of ``blocks`` blocks of columns, or add to it unless it is ``fresh``; see ``tiles``.

    Three at a time, or two rather than a single one.
    """
    block = 0
    while block < blocks:
        at, to, left = w + 64 * block, out + 64 * block, blocks - block
        if left >= 3 and left != 4:
            tiles.sum_tile_3(a, a_row, a_step, at, w_step, steps, to, out_stride, fresh)
            block += 3
        elif left >= 2:
            tiles.sum_tile_2(a, a_row, a_step, at, w_step, steps, to, out_stride, fresh)
            block += 2
        else:
            tiles.sum_tile_1(a, a_row, a_step, at, w_step, steps, to, out_stride, fresh)
            block += 1


@compiled
def grad_input_convolution(address, g_scale, x_scale, accumulate):  # type: ignore[no-untyped-def]
    """Standard convolutions and fully connected ops: tiles of input pixels that meet the same taps."""
    a = record_at(address, RECORD)
    blocks, deep = (a.c_in + 15) // 16, a.c_out + (-a.c_out & 15)
    wide = blocks * 16
    statistics = simd.int64_at(a.workspace)
    out = statistics + STATISTICS_BYTES
    weights = out + PIXELS * wide * 4
    plane = weights + a.kh * a.kw * a.c_out * wide * 4
    clear_statistics(statistics)
    if a.floats != 0:
        weights = a.floats
    else:
        convert(a, wide, weights)
    direct = a.g_x_format == FLOAT32 and not accumulate and wide == a.c_in
    for image in range(a.n):
        clear_plane(a, 1, deep, plane)
        if not a.rows:
            load_rows(a, g_scale, image, 1, deep, plane, plane, 0, a.oh)
        for y in range(a.h):
            if a.rows == ROW_BY_ROW:
                load_needed(a, g_scale, image, 1, deep, plane, plane, y)
            for phase in range(min(a.stride_w, a.w)):
                pixels = (a.w - phase + a.stride_w - 1) // a.stride_w
                for first in range(0, pixels, PIXELS):
                    x = phase + first * a.stride_w
                    if a.rows == PIXEL_BY_PIXEL:
                        for p in range(first, min(first + PIXELS, pixels)):
                            load_row(a, g_scale, p, plane + p * deep * 4)
                    whole = direct and pixels - first >= PIXELS
                    to, stride = out, wide * 4
                    if whole:
                        to, stride = a.g_x + 4 * a.c_in * ((image * a.h + y) * a.w + x), a.stride_w * wide * 4
                    fresh = 1
                    for i in range(a.kh):
                        above = y + a.top - i * a.dilation_h
                        if above % a.stride_h != 0:
                            continue
                        line = plane + (above // a.stride_h + a.before_h) * a.plane_w * deep * 4
                        for j in range(a.kw):
                            before = x + a.left - j * a.dilation_w
                            if before % a.stride_w != 0:
                                continue
                            at = line + (before // a.stride_w + a.before_w) * deep * 4
                            w = weights + (i * a.kw + j) * a.c_out * wide * 4
                            sum_tiles(at, deep * 4, 4, w, wide * 4, a.c_out, to, stride, blocks, fresh)
                            fresh = 0
                    if fresh:
                        for p in range(PIXELS):
                            for i in range(0, wide * 4, 64):
                                simd.store_f32(to + p * stride + i, simd.splat_f32(np.float32(0)))
                    if whole:
                        continue
                    for p in range(min(PIXELS, pixels - first)):
                        index = ((image * a.h + y) * a.w + x + p * a.stride_w) * a.c_in
                        store_row(
                            a.g_x, a.g_x_format, x_scale, accumulate, index, a.c_in,
                            out + p * wide * 4, statistics,
                        )  # fmt: skip
    return read_statistics(statistics)


@inner
def _split(a, wide, weights):  # type: ignore[no-untyped-def]
    """Write depthwise weights [tap][C_out] as float32 [tap][remainder][wide], zero beyond C_in."""
    taps, several, c_out = a.kh * a.kw, a.multiplier, a.c_out
    source = array_at(a.weight, taps * c_out, np.int8)
    floats = array_at(weights, taps * several * wide, np.float32)
    for i in range(taps * several * wide):
        floats[i] = 0
    for t in range(taps):
        for c in range(c_out):
            floats[(t * several + c % several) * wide + c // several] = np.float32(
                source[t * c_out + c] - a.z_w
            )


@inner
def _slide(a, g_scale, image, plane, pixel, weights, wide, x_scale, accumulate, statistics):  # type: ignore[no-untyped-def]
    """3x3 windows at stride 1: rows of input pixels, their sums in the workspace behind the plane."""
    line, rows = a.plane_w * wide * 4, plane + (a.plane_h * a.plane_w + tiles.PIXELS) * wide * 4
    for y in range(a.h):
        if a.rows:
            load_needed(a, g_scale, image, 1, wide, plane, pixel, y)
        g = plane + (y + a.top + a.before_h) * line + (a.left + a.before_w) * wide * 4
        direct = a.g_x_format == FLOAT32 and not accumulate and wide == a.c_in
        index = (image * a.h + y) * a.w * a.c_in
        out = a.g_x + 4 * index if direct else rows
        for c in range(0, 4 * wide, 64):
            tiles.slide_three(g + c, line, 4 * wide, weights + c, out + c, a.w)
        if direct:
            continue
        if wide == a.c_in:
            store_row(a.g_x, a.g_x_format, x_scale, accumulate, index, a.w * wide, rows, statistics)
            continue
        for x in range(a.w):
            at = rows + x * wide * 4
            store_row(a.g_x, a.g_x_format, x_scale, accumulate, index + x * a.c_in, a.c_in, at, statistics)


@compiled
def grad_input_depthwise(address, g_scale, x_scale, accumulate):  # type: ignore[no-untyped-def]
    """Depthwise convolutions: 16 channels at a time, the taps of one input pixel innermost."""
    a = record_at(address, RECORD)
    wide = a.c_in + (-a.c_in & 15)
    taps = a.kh * a.kw
    statistics = simd.int64_at(a.workspace)
    met = statistics + STATISTICS_BYTES
    row = met + 16 * taps + 64
    row += -row % 64
    sums = row + (a.c_out + 16) * 4
    weights = sums + wide * 4
    plane = weights + taps * a.multiplier * wide * 4
    clear_statistics(statistics)
    if a.floats != 0:
        weights = a.floats
    else:
        _split(a, wide, weights)
    offsets = array_at(met, 2 * taps, np.int64)
    size = a.plane_h * a.plane_w * wide * 4
    slides = a.kh == 3 and a.kw == 3 and a.multiplier == 1 and a.stride_h * a.stride_w == 1
    slides = slides and a.dilation_h * a.dilation_w == 1
    for image in range(a.n):
        clear_plane(a, a.multiplier, wide, plane)
        if not a.rows:
            load_rows(a, g_scale, image, a.multiplier, wide, plane, row, 0, a.oh)
        if slides:
            _slide(a, g_scale, image, plane, row, weights, wide, x_scale, accumulate, statistics)
            continue
        for y in range(a.h):
            if a.rows:
                load_needed(a, g_scale, image, a.multiplier, wide, plane, row, y)
            for x in range(a.w):
                count = 0
                for i in range(a.kh):
                    above = y + a.top - i * a.dilation_h
                    if above % a.stride_h != 0:
                        continue
                    line = (above // a.stride_h + a.before_h) * a.plane_w
                    for j in range(a.kw):
                        before = x + a.left - j * a.dilation_w
                        if before % a.stride_w != 0:
                            continue
                        offsets[2 * count] = plane + (line + before // a.stride_w + a.before_w) * wide * 4
                        offsets[2 * count + 1] = weights + (i * a.kw + j) * a.multiplier * wide * 4
                        count += 1
                for c in range(0, 4 * wide, 64):
                    total = simd.splat_f32(np.float32(0))
                    for t in range(count):
                        g, w = offsets[2 * t] + c, offsets[2 * t + 1] + c
                        for _ in range(a.multiplier):
                            total = total + simd.load_f32(g) * simd.load_f32(w)
                            g += size
                            w += 4 * wide
                    simd.store_f32(sums + c, total)
                index = ((image * a.h + y) * a.w + x) * a.c_in
                store_row(a.g_x, a.g_x_format, x_scale, accumulate, index, a.c_in, sums, statistics)
    return read_statistics(statistics)


class GradInput(Gradient, GradInputKernel):
    """Kernel of a weighted op; see ``backward.grad_input``."""

    def __init__(
        self, op: Op, tensors: Tensors, workspace: Workspace | None, *, fixed_weight: bool = False
    ) -> None:
        super().__init__(op, tensors, workspace)
        self._depthwise = op.kind is OpKind.DEPTHWISE_CONV_2D
        if fixed_weight:
            self._floats = self._converted(constant(op, tensors, 1))
            self._constants[0]["floats"] = address_of(self._floats)

    def _converted(self, weight: Array) -> Array:
        """Return constant weights as the kernels convert them in every call otherwise."""
        r = self._constants[0]
        c_in, c_out, several = int(r["c_in"]), int(r["c_out"]), int(r["multiplier"])
        taps, wide = int(r["kh"] * r["kw"]), c_in + -c_in % 16
        real = weight.astype(np.float32) - np.float32(r["z_w"])
        if self._depthwise:
            rows = real.reshape(taps, c_in, several).transpose(0, 2, 1)
        else:
            rows = real.reshape(c_out, taps, c_in).transpose(1, 0, 2)
        floats = np.zeros((*rows.shape[:2], wide), np.float32)
        floats[..., :c_in] = rows
        return floats

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        g_y, mask, g_x, weight = buffers
        record, r = self._start(g_y, mask)
        check(f"weight of {self.name}", weight, self.weight_dtype)
        if weight.shape != self.weight_shape:
            raise BadArgument(f"weight of {self.name}", f"has shape {weight.shape}, not {self.weight_shape}")
        check(f"input gradient of {self.name}", g_x, str(g_x.dtype))
        if str(g_x.dtype) not in ERRORS or g_x.size % int(r["c_in"]):
            raise BadArgument(f"input gradient of {self.name}", f"is {g_x.dtype} of shape {g_x.shape}")
        r["weight"], r["g_x"] = address_of(weight), address_of(g_x)
        r["g_x_format"] = ERRORS[str(g_x.dtype)].compiled()
        r["rows"] = shares_bytes(g_x, g_y)
        self._set_sizes(r, g_x.shape, g_y.shape)
        self._frame_outputs(r)
        self.workspace.reserve(self._workspace_bytes(r))
        return grad_input_depthwise if self._depthwise else grad_input_convolution, record

    def _workspace_bytes(self, r: Any) -> int:
        c_in, c_out, taps = aligned(4 * int(r["c_in"])), aligned(4 * int(r["c_out"])), int(r["kh"] * r["kw"])
        pixels = tile_rows(int(r["plane_h"] * r["plane_w"]))
        if not self._depthwise:
            return STATISTICS_BYTES + PIXELS * c_in + taps * int(r["c_out"]) * c_in + pixels * c_out + 256
        several = int(r["multiplier"]) * c_in
        rows = int(r["w"]) * c_in
        return STATISTICS_BYTES + 16 * taps + c_out + c_in + (taps + pixels) * several + rows + 512
