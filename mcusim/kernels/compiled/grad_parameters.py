"""Gradients of weighted ops with respect to biases and to the weights of selected input channels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.graph import Op, OpKind
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.errors import load_row, load_values, mask_bits, whole_blocks
from mcusim.kernels.compiled.grad_input import sum_tiles
from mcusim.kernels.compiled.grad_record import RECORD, Gradient, tile_rows
from mcusim.kernels.compiled.prepared import (
    Workspace,
    address_of,
    aligned,
    array_at,
    check,
    check_shape,
    exist,
    record_at,
)
from mcusim.kernels.vector import error_rows, simd, tiles

PIXELS = tiles.PIXELS


@compiled
def grad_bias(address, scale):  # type: ignore[no-untyped-def]
    """Sum ga over pixels ascending."""
    a = record_at(address, RECORD)
    row = simd.int64_at(a.workspace)
    sums = row + 4 * (a.c_out + (-a.c_out & 15))
    unit = simd.splat_f32(np.float32(scale))
    g, format, mask, factor, channels, pixels = a.g, a.g_format, a.mask, a.factor, a.c_out, a.n * a.oh * a.ow
    whole, block = whole_blocks(mask, channels), 0
    while block < whole:
        at, bits = g + 16 * block * format, mask + 2 * block if mask != 0 else 0
        own, to = factor + 64 * block, sums + 64 * block
        if whole - block >= error_rows.MANY:
            error_rows.sum_many(at, format, unit, bits, own, to, channels, pixels)
            block += error_rows.MANY
        else:
            error_rows.sum_one(at, format, unit, bits, own, to, channels, pixels)
            block += 1
    for c in range(16 * whole, channels, 16):
        total, few = simd.splat_f32(np.float32(0)), min(channels - c, 16)
        for pixel in range(pixels):
            index = pixel * channels + c
            value = load_values(g, format, index, few) * unit
            if mask != 0:
                value = simd.where(mask_bits(mask, a.mask_bytes, index), value)
            total = total + value * simd.load_f32(factor + 4 * c)
        simd.store_f32(sums + 4 * c, total)
    copy_row(sums, a.out, channels)


@inner
def copy_row(source, target, count):  # type: ignore[no-untyped-def]
    """Copy ``count`` float32."""
    for c in range(0, count, 16):
        simd.store_f32_first(target + 4 * c, simd.load_f32(source + 4 * c), min(count - c, 16))


@inner
def scaled_row(source, target, count, factor):  # type: ignore[no-untyped-def]
    """Write ``count`` float32 times a factor."""
    for c in range(0, count, 16):
        value = simd.load_f32(source + 4 * c) * simd.splat_f32(factor)
        simd.store_f32_first(target + 4 * c, value, min(count - c, 16))


@inner
def kept_pixels_exist(a):  # type: ignore[no-untyped-def]
    """Return True if the positions of the kept pixels lie in the image."""
    return a.positions == 0 or exist(a.positions, a.kept, a.pixels)


@inner
def output_pixel(a, index):  # type: ignore[no-untyped-def]
    """Return which output pixel is met by the ``index``-th saved one of a pointwise op, over all images."""
    if a.positions == 0 or a.placed != 0:
        return index
    return index // a.kept * a.pixels + array_at(a.positions, a.kept, np.int32)[index % a.kept]


@inner
def centred(a, source, target):  # type: ignore[no-untyped-def]
    """Write x - z_x of one pixel, the ``source``-th element of the features, as float32."""
    z = simd.splat_f32(np.float32(a.z_x))
    for c in range(0, a.selected, 16):
        count = min(a.selected - c, 16)
        if a.x_float:
            value = simd.load_f32_first(a.x + 4 * (source + c), count)
        else:
            value = simd.to_f32(simd.load_s8_first(a.x + source + c, count)) - z
        simd.store_f32_first(target + 4 * c, value, count)


@inner
def features(a, image, wide, plane):  # type: ignore[no-untyped-def]
    """Write the features of one image into a plane framed with zeros: [plane_h][plane_w][wide]."""
    nothing = simd.splat_f32(np.float32(0))
    for i in range(0, a.plane_h * a.plane_w * wide * 4, 64):
        simd.store_f32(plane + i, nothing)
    if a.placed != 0:
        positions = array_at(a.positions, a.kept, np.int32)
        for k in range(a.kept):
            i, j = positions[k] // a.w, positions[k] % a.w
            target = plane + ((i + a.before_h) * a.plane_w + j + a.before_w) * wide * 4
            centred(a, (image * a.kept + k) * a.selected, target)
        return
    for i in range(a.h):
        for j in range(a.w):
            target = plane + ((i + a.before_h) * a.plane_w + j + a.before_w) * wide * 4
            centred(a, ((image * a.h + i) * a.w + j) * a.selected, target)


@compiled
def grad_weight_convolution(address, scale):  # type: ignore[no-untyped-def]
    """Tiles of selected channels times output channels; pixels ascending innermost.

    False if a pixel does not exist.
    """
    a = record_at(address, RECORD)
    if not kept_pixels_exist(a):
        return False
    factor = np.float32(a.pixels / a.kept)  # makes a sum over kept pixels an estimate of that over all
    blocks, wide = (a.c_out + 15) // 16, a.selected + (-a.selected & 15)
    deep = blocks * 16
    out = simd.int64_at(a.workspace)
    rows = out + PIXELS * deep * 4
    plane = rows + a.n * a.oh * a.ow * deep * 4
    size = a.plane_h * a.plane_w * wide * 4
    for pixel in range(a.n * a.oh * a.ow):
        load_row(a, scale, output_pixel(a, pixel), rows + pixel * deep * 4)
    for image in range(a.n):
        features(a, image, wide, plane + image * size)
    for first in range(0, a.selected, PIXELS):
        for tap in range(a.kh * a.kw):
            fresh = 1
            shift = (tap // a.kw) * a.dilation_h * a.plane_w + (tap % a.kw) * a.dilation_w
            for image in range(a.n):
                for i in range(a.oh):
                    x = plane + image * size + (i * a.stride_h * a.plane_w + shift) * wide * 4 + first * 4
                    ga = rows + (image * a.oh + i) * a.ow * deep * 4
                    sum_tiles(x, 4, a.stride_w * wide * 4, ga, deep * 4, a.ow, out, deep * 4, blocks, fresh)
                    fresh = 0
            for p in range(min(PIXELS, a.selected - first)):
                target = a.out + ((first + p) * a.kh * a.kw + tap) * a.c_out * 4
                scaled_row(out + p * deep * 4, target, a.c_out, factor)
    return True


@compiled
def grad_weight_depthwise(address, scale):  # type: ignore[no-untyped-def]
    """16 selected channels at a time; pixels ascending innermost.

    False if a channel or a pixel does not exist.
    """
    a = record_at(address, RECORD)
    if not exist(a.channels, a.selected, a.c_in) or not kept_pixels_exist(a):
        return False
    factor = np.float32(a.pixels / a.kept)  # makes a sum over kept pixels an estimate of that over all
    wide = a.selected + (-a.selected & 15)
    row = simd.int64_at(a.workspace)
    rows = row + (a.c_out + 16) * 4
    rows += -rows % 64
    pixels = a.n * a.oh * a.ow
    layer = pixels * wide * 4
    plane = rows + a.multiplier * layer
    size = a.plane_h * a.plane_w * wide * 4
    channels = array_at(a.channels, a.selected, np.int32)
    values = array_at(row, a.c_out, np.float32)
    picked = array_at(rows, a.multiplier * pixels * wide, np.float32)
    every = a.multiplier == 1 and a.selected == a.c_in
    for s in range(a.selected if every else 0):
        every = every and channels[s] == s
    for pixel in range(pixels):
        if every:
            load_row(a, scale, output_pixel(a, pixel), rows + pixel * wide * 4)
            continue
        load_row(a, scale, output_pixel(a, pixel), row)
        for m in range(a.multiplier):
            base = (m * pixels + pixel) * wide
            for s in range(a.selected):
                picked[base + s] = values[channels[s] * a.multiplier + m]
            for s in range(a.selected, wide):
                picked[base + s] = 0
    for image in range(a.n):
        features(a, image, wide, plane + image * size)
    out = array_at(a.out, a.selected * a.kh * a.kw * a.multiplier, np.float32)
    for tap in range(a.kh * a.kw):
        shift = (tap // a.kw) * a.dilation_h * a.plane_w + (tap % a.kw) * a.dilation_w
        for m in range(a.multiplier):
            for c in range(0, wide, 16):
                total = simd.splat_f32(np.float32(0))
                g = rows + m * layer + 4 * c
                for image in range(a.n):
                    for i in range(a.oh):
                        x = plane + image * size + (i * a.stride_h * a.plane_w + shift) * wide * 4 + 4 * c
                        for _ in range(a.ow):
                            total = total + simd.load_f32(x) * simd.load_f32(g)
                            x += a.stride_w * wide * 4
                            g += wide * 4
                simd.store_f32(row, total)
                for s in range(min(16, a.selected - c)):
                    out[((c + s) * a.kh * a.kw + tap) * a.multiplier + m] = values[s] * factor
    return True


class GradBias(Gradient):
    """Kernel of the bias; see ``backward.grad_bias``."""

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        g_y, mask, out = buffers
        record, r = self._start(g_y, mask)
        check(f"bias gradient of {self.name}", out, "float32")
        check_shape(f"bias gradient of {self.name}", out.reshape(-1), (int(r["c_out"]),))
        r["out"] = address_of(out)
        r["n"], r["oh"], r["ow"] = 1, 1, g_y.size // int(r["c_out"])
        self.workspace.reserve(2 * aligned(4 * int(r["c_out"])))
        return grad_bias, record

    def __call__(
        self, g_y: Array, g_y_scale: float, mask: NDArray[np.uint8] | None, out: NDArray[np.float32]
    ) -> None:
        """Compute the gradient; see ``backward``."""
        self.bound(g_y, mask, out)(float(g_y_scale))


class GradWeight(Gradient):
    """Kernel of the weights of selected input channels; see ``backward.grad_weight``."""

    def __init__(self, op: Op, tensors: Tensors, workspace: Workspace | None) -> None:
        super().__init__(op, tensors, workspace)
        self._depthwise = op.kind is OpKind.DEPTHWISE_CONV_2D

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        g_y, mask, x, channels, out, positions = buffers
        record, r = self._start(g_y, mask)
        count, what = channels.size, f"weight gradient of {self.name}"
        check(f"features of {self.name}", x, self.x_dtype)
        check(f"channels of {self.name}", channels, "int32")
        check(what, out, "float32")
        last = int(r["multiplier"] if self._depthwise else r["c_out"])
        window = () if self.op.kind is OpKind.FULLY_CONNECTED else (int(r["kh"]), int(r["kw"]))
        check_shape(what, out, (count, *window, last))
        if count == 0 or x.shape[-1] != count:
            raise BadArgument(what, f"has {count} channels and features of shape {x.shape}")
        self._set_pixels(r, x, g_y, positions)
        self._frame_inputs(r)
        r["x"], r["channels"], r["selected"], r["out"] = (
            address_of(x),
            address_of(channels),
            count,
            address_of(out),
        )
        self.workspace.reserve(self._workspace_bytes(r))
        return (grad_weight_depthwise if self._depthwise else grad_weight_convolution), record

    def _workspace_bytes(self, r: Any) -> int:
        selected, c_out = aligned(4 * int(r["selected"])), aligned(4 * int(r["c_out"]))
        plane = tile_rows(int(r["n"] * r["plane_h"] * r["plane_w"])) * selected
        pixels = int(r["n"] * r["oh"] * r["ow"])
        if self._depthwise:
            return c_out + 256 + int(r["multiplier"]) * pixels * selected + plane
        return PIXELS * c_out + pixels * c_out + plane + 256

    def __call__(
        self, g_y: Array, g_y_scale: float, mask: NDArray[np.uint8] | None,
        x: Array, channels: NDArray[np.int32], out: NDArray[np.float32],
        positions: NDArray[np.int32] | None = None,
    ) -> None:  # fmt: skip
        """Compute the gradient; see ``backward``."""
        if not self.bound(g_y, mask, x, channels, out, positions)(float(g_y_scale)):
            raise BadArgument(
                f"channels or pixels of {self.name}",
                f"are not all in 0..{self._constants['c_in'][0] - 1} or of an image {self.x_shape[1:3]}",
            )
