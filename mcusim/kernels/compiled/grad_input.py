"""Gradients of weighted ops with respect to their input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.graph import Op, OpKind
from mcusim.kernels.arrays import Tensors
from mcusim.kernels.compiled.errors import (
    STATISTICS_BYTES,
    clear_statistics,
    load_row,
    read_statistics,
    store_row,
)
from mcusim.kernels.compiled.grad_record import RECORD, Gradient, tile_rows
from mcusim.kernels.compiled.prepared import (
    GradInputKernel,
    Workspace,
    address_of,
    aligned,
    array_at,
    check,
    compiled,
    inner,
    record_at,
)
from mcusim.kernels.number_formats import ERRORS
from mcusim.kernels.vector import simd, tiles

PIXELS = tiles.PIXELS


@inner
def convert(a, wide, floats):  # type: ignore[no-untyped-def]
    """Write weights [C_out][tap][C_in] as float32 [tap][C_out][wide], zero beyond C_in."""
    taps = a.kh * a.kw
    z = simd.splat_f32(np.float32(a.z_w))
    for c in range(a.c_out):
        for t in range(taps):
            source, target = (c * taps + t) * a.c_in, floats + (t * a.c_out + c) * wide * 4
            for k in range(0, wide, 16):
                count = min(a.c_in - k, 16)
                if a.weight_float:
                    value = simd.load_f32_first(a.weight + 4 * (source + k), count)
                else:
                    value = simd.to_f32(simd.load_s8_first(a.weight + source + k, count)) - z
                simd.store_f32_first(target + 4 * k, value, count)
                if count < 16:
                    for i in range(count, 16):
                        array_at(target + 4 * k, 16, np.float32)[i] = 0


@inner
def load_plane(a, scale, image, several, wide, plane, row):  # type: ignore[no-untyped-def]
    """Write ga of one image into a plane framed with zeros: [several][plane_h][plane_w][wide].

    The channels of depthwise ops with a multiplier are split by remainder; ``row`` holds one pixel.
    """
    size = a.plane_h * a.plane_w * wide * 4
    if a.plane_h != a.oh or a.plane_w != a.ow or several > 1:
        for i in range(0, several * size, 64):
            simd.store_f32(plane + i, simd.splat_f32(np.float32(0)))
    for i in range(a.oh):
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
def sum_tiles(a, a_row, a_step, w, w_step, steps, out, blocks):  # type: ignore[no-untyped-def]
    """Add to a tile of ``blocks`` blocks of columns; see ``tiles``."""
    stride = blocks * 64
    block = 0
    while block < blocks:
        at, to = w + 64 * block, out + 64 * block
        if blocks - block >= 3:
            tiles.sum_tile_3(a, a_row, a_step, at, w_step, steps, to, stride)
            block += 3
        elif blocks - block == 2:
            tiles.sum_tile_2(a, a_row, a_step, at, w_step, steps, to, stride)
            block += 2
        else:
            tiles.sum_tile_1(a, a_row, a_step, at, w_step, steps, to, stride)
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
    convert(a, wide, weights)
    for image in range(a.n):
        load_plane(a, g_scale, image, 1, deep, plane, plane)
        for y in range(a.h):
            for phase in range(min(a.stride_w, a.w)):
                pixels = (a.w - phase + a.stride_w - 1) // a.stride_w
                for first in range(0, pixels, PIXELS):
                    x = phase + first * a.stride_w
                    for i in range(0, PIXELS * wide * 4, 64):
                        simd.store_f32(out + i, simd.splat_f32(np.float32(0)))
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
                            sum_tiles(at, deep * 4, 4, w, wide * 4, a.c_out, out, blocks)
                    for p in range(min(PIXELS, pixels - first)):
                        index = ((image * a.h + y) * a.w + x + p * a.stride_w) * a.c_in
                        store_row(
                            a.g_x, a.g_x_format, x_scale, accumulate, index, a.c_in,
                            out + p * wide * 4, statistics,
                        )  # fmt: skip
    return read_statistics(statistics)


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
    source = array_at(a.weight, taps * a.c_out, np.int8)
    floats = array_at(weights, taps * a.multiplier * wide, np.float32)
    floats[:] = 0
    for t in range(taps):
        for c in range(a.c_out):
            place = (t * a.multiplier + c % a.multiplier) * wide + c // a.multiplier
            floats[place] = np.float32(source[t * a.c_out + c] - a.z_w)
    offsets = array_at(met, 2 * taps, np.int64)
    size = a.plane_h * a.plane_w * wide * 4
    for image in range(a.n):
        load_plane(a, g_scale, image, a.multiplier, wide, plane, row)
        for y in range(a.h):
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

    def __init__(self, op: Op, tensors: Tensors, workspace: Workspace | None) -> None:
        super().__init__(op, tensors, workspace)
        self._depthwise = op.kind is OpKind.DEPTHWISE_CONV_2D

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
        return STATISTICS_BYTES + 16 * taps + c_out + c_in + (taps + pixels) * several + 512
