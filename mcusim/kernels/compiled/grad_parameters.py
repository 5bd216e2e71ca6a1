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
from mcusim.kernels.compiled.errors import (
    load_block,
    load_pixels,
    load_row,
    load_values,
    mask_bits,
    whole_blocks,
)
from mcusim.kernels.compiled.grad_input import cleared, rows_of, sum_tiles
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

CHUNK = 64
"""Pixels of a pointwise op that are converted before they are multiplied: they stay in the cache."""


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
def centred(a, source, target, count):  # type: ignore[no-untyped-def]
    """Write x - z_x of ``count`` features, from the ``source``-th on, as float32."""
    x, real, z = a.x, a.x_float, simd.splat_f32(np.float32(a.z_x))
    for c in range(0, count, 16):
        few, at = min(count - c, 16), source + c
        if not real and few == 16:
            simd.store_f32(target + 4 * c, simd.to_f32(simd.load_s8(x + at)) - z)
            continue
        if real:
            value = simd.load_f32_first(x + 4 * at, few)
        else:
            value = simd.to_f32(simd.load_s8_first(x + at, few)) - z
        simd.store_f32_first(target + 4 * c, value, few)


@inner
def features(a, image, plane):  # type: ignore[no-untyped-def]
    """Write the features of one image into a plane framed with zeros: [plane_h][plane_w][selected]."""
    pixel, line = a.selected * 4, a.plane_w * a.selected * 4
    cleared(plane, 0, 1, a.plane_h * a.plane_w * a.selected)
    first = plane + a.before_h * line + a.before_w * pixel
    if a.placed != 0:
        positions = array_at(a.positions, a.kept, np.int32)
        for k in range(a.kept):
            target = first + positions[k] // a.w * line + positions[k] % a.w * pixel
            centred(a, (image * a.kept + k) * a.selected, target, a.selected)
        return
    for i in range(a.h):
        centred(a, (image * a.h + i) * a.w * a.selected, first + i * line, a.w * a.selected)


@compiled
def grad_weight_convolution(address, scale):  # type: ignore[no-untyped-def]
    """Tiles of selected channels times output channels; pixels ascending innermost.

    False if a pixel does not exist.
    """
    a = record_at(address, RECORD)
    if not kept_pixels_exist(a):
        return False
    factor = np.float32(a.pixels / a.kept)  # makes a sum over kept pixels an estimate of that over all
    deep = a.c_out + (-a.c_out & 15)
    out, place, stride = simd.int64_at(a.workspace), a.out, a.c_out * 4
    rows = out + (a.selected + tiles.SUMS) * a.kh * a.kw * deep * 4
    direct = a.c_out % 8 == 0
    if not direct:
        place, stride = out, deep * 4
    total = a.n * a.oh * a.ow
    if a.pointwise != 0:
        plane = rows + CHUNK * deep * 4
        for first in range(0, total, CHUNK):
            count = min(total - first, CHUNK)
            if a.positions == 0:
                load_pixels(a, scale, first, count, rows, deep * 4)
            else:
                for pixel in range(count):
                    load_row(a, scale, output_pixel(a, first + pixel), rows + pixel * deep * 4)
            centred(a, first * a.selected, plane, count * a.selected)
            met(a, plane, a.selected * 4, rows, deep * 4, count, out, place, stride, 0, int(first == 0))
    else:
        plane = rows + total * deep * 4
        size = a.plane_h * a.plane_w * a.selected * 4
        load_pixels(a, scale, 0, total, rows, deep * 4)
        for image in range(a.n):
            features(a, image, plane + image * size)
        for tap in range(a.kh * a.kw):
            shift = (tap // a.kw) * a.dilation_h * a.plane_w + (tap % a.kw) * a.dilation_w
            for line in range(a.n * a.oh):
                image, i = line // a.oh, line % a.oh
                x = plane + image * size + (i * a.stride_h * a.plane_w + shift) * a.selected * 4
                ga = rows + line * a.ow * deep * 4
                met(
                    a,
                    x,
                    a.stride_w * a.selected * 4,
                    ga,
                    deep * 4,
                    a.ow,
                    out,
                    place,
                    stride,
                    tap,
                    int(line == 0),
                )
    if factor != 1 or not direct:
        for k in range(a.selected * a.kh * a.kw):
            scaled_row(place + k * stride, a.out + k * a.c_out * 4, a.c_out, factor)
    return True


@inner
def met(a, x, x_step, ga, ga_step, count, spare, place, stride, tap, fresh):  # type: ignore[no-untyped-def]
    """Add ``count`` pixels to the sums [selected][tap][C_out] at ``place``, or begin these with them.

    Rows of the last tile beyond the selected channels go to ``spare``.
    """
    taps, first = a.kh * a.kw, 0
    while first < a.selected:
        rows = rows_of(a.selected - first)
        at, to, step = x + 4 * first, place + (first * taps + tap) * stride, taps * stride
        if first + rows <= a.selected or place == spare:
            sum_tiles(at, 4, x_step, ga, ga_step, 64, count, to, step, rows, a.c_out, fresh)
        else:
            last_tile(a, at, x_step, ga, ga_step, count, spare, to, step, first, rows, fresh)
        first += rows


@inner
def last_tile(a, x, x_step, ga, ga_step, count, spare, to, stride, first, rows, fresh):  # type: ignore[no-untyped-def]
    """Add to the sums of fewer channels than the tile has rows."""
    left, size = a.selected - first, a.c_out * 4
    for p in range(left if fresh == 0 else 0):
        simd.copy(to + p * stride, spare + p * size, size)
    sum_tiles(x, 4, x_step, ga, ga_step, 64, count, spare, size, rows, a.c_out, fresh)
    for p in range(left):
        simd.copy(spare + p * size, to + p * stride, size)


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
    sums = rows + a.multiplier * layer
    channels = array_at(a.channels, a.selected, np.int32)
    values = array_at(row, a.c_out, np.float32)
    picked = array_at(rows, a.multiplier * pixels * wide, np.float32)
    every = a.multiplier == 1 and a.selected == a.c_in and (a.positions == 0 or a.placed != 0)
    for s in range(a.selected if every else 0):
        every = every and channels[s] == s
    for pixel in range(0 if every else pixels):
        load_row(a, scale, output_pixel(a, pixel), row)
        for m in range(a.multiplier):
            base = (m * pixels + pixel) * wide
            for s in range(a.selected):
                picked[base + s] = values[channels[s] * a.multiplier + m]
            for s in range(a.selected, wide):
                picked[base + s] = 0
    taps, count = a.kh * a.kw, a.oh * a.ow
    plane = sums + taps * 64
    for i in range(0, a.plane_h * a.plane_w * 64, 64):
        simd.store_f32(plane + i, simd.splat_f32(np.float32(0)))
    found = array_at(sums, 16 * taps, np.float32)
    out = array_at(a.out, a.selected * taps * a.multiplier, np.float32)
    for c in range(0, wide, 16):
        for m in range(a.multiplier):
            for image in range(a.n):
                block(a, image, c, plane)
                if every:
                    load_block(a, scale, image * count, count, c, rows)
                    windows(a, rows, 64, plane, sums, int(image == 0))
                else:
                    g = rows + m * layer + image * count * wide * 4 + 4 * c
                    windows(a, g, wide * 4, plane, sums, int(image == 0))
            for s in range(min(16, a.selected - c)):
                for tap in range(taps):
                    out[((c + s) * taps + tap) * a.multiplier + m] = found[16 * tap + s] * factor
    return True


@inner
def block(a, image, c, plane):  # type: ignore[no-untyped-def]
    """Write 16 features, from ``c`` on, of all pixels of an image into a plane framed with zeros."""
    few, line = min(16, a.selected - c), a.plane_w * 64
    first = plane + a.before_h * line + a.before_w * 64
    if a.placed != 0:
        positions = array_at(a.positions, a.kept, np.int32)
        for k in range(a.kept):
            target = first + positions[k] // a.w * line + positions[k] % a.w * 64
            centred(a, (image * a.kept + k) * a.selected + c, target, few)
        return
    x, step, z = a.x + c, a.selected, simd.splat_f32(np.float32(a.z_x))
    for i in range(a.h):
        source, target = x + (image * a.h + i) * a.w * step, first + i * line
        if few == 16:
            for j in range(a.w):
                simd.store_f32(target + 64 * j, simd.to_f32(simd.load_s8(source + j * step)) - z)
        else:
            for j in range(a.w):
                simd.store_f32(target + 64 * j, simd.to_f32(simd.load_s8_first(source + j * step, few)) - z)


@inner
def windows(a, g, g_step, plane, sums, fresh):  # type: ignore[no-untyped-def]
    """Add one image to the sums of all taps, a vector each, or begin these with it."""
    x_step, x_line = a.stride_w * 64, a.stride_h * a.plane_w * 64
    tap_line, tap_step, oh, ow = a.dilation_h * a.plane_w * 64, a.dilation_w * 64, a.oh, a.ow
    if a.kh == 3 and a.kw == 3:
        tiles.window_3(g, g_step, plane, x_step, x_line, tap_line, tap_step, oh, ow, sums, fresh)
        return
    for i in range(a.kh):
        x, to = plane + i * tap_line, sums + i * a.kw * 64
        if a.kw == 7:
            tiles.line_7(g, g_step, x, x_step, x_line, tap_line, tap_step, oh, ow, to, fresh)
        elif a.kw == 5:
            tiles.line_5(g, g_step, x, x_step, x_line, tap_line, tap_step, oh, ow, to, fresh)
        else:
            for j in range(a.kw):
                at, own = x + j * tap_step, to + 64 * j
                tiles.tap_1(g, g_step, at, x_step, x_line, tap_line, tap_step, oh, ow, own, fresh)


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
        window = r["kh"] * r["kw"] * r["stride_h"] * r["stride_w"]
        framed = r["top"] or r["left"] or (r["h"], r["w"]) != (r["oh"], r["ow"])
        r["pointwise"] = window == 1 and not framed and not r["placed"]
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
            sums = 64 * int(r["kh"] * r["kw"] + r["plane_h"] * r["plane_w"])
            return c_out + 256 + int(r["multiplier"]) * pixels * selected + sums
        taps, few = int(r["kh"] * r["kw"]), CHUNK if r["pointwise"] else pixels
        sums = (int(r["selected"]) + tiles.SUMS) * taps * c_out
        return sums + few * c_out + plane + 256

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
