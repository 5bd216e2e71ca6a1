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
    add_pixels,
    begin_bias,
    clear_statistics,
    end_bias,
    load_pixels,
    read_statistics,
    store_row,
)
from mcusim.kernels.compiled.grad_depthwise import grad_input_depthwise
from mcusim.kernels.compiled.grad_record import PIXEL_BY_PIXEL, RECORD, ROW_BY_ROW, Gradient, tile_rows
from mcusim.kernels.compiled.planes import clear_plane, load_needed, load_rows
from mcusim.kernels.compiled.prepared import (
    GradInputKernel,
    Workspace,
    address_of,
    aligned,
    check,
    check_shape,
    record_at,
    shares_bytes,
)
from mcusim.kernels.number_formats import ERRORS
from mcusim.kernels.vector import same, simd, tiles


@inner
def convert_row(a, c, tap, floats):  # type: ignore[no-untyped-def]
    """Write the weights of one output and tap as float32 [block of 16 inputs][C_out][16], 0 beyond C_in."""
    c_in, weight, real, z = a.c_in, a.weight, a.weight_float, simd.splat_f32(np.float32(a.z_w))
    source = (c * a.kh * a.kw + tap) * c_in
    target = floats + (tap * (c_in + (-c_in & 15)) * a.c_out + 16 * c) * 4
    for k in range(0, c_in, 16):
        count = c_in - k
        if not real and count >= 16:
            simd.store_f32(target, simd.to_f32(simd.load_s8(weight + source + k)) - z)
        else:
            count = min(count, 16)
            if real:
                value = simd.load_f32_first(weight + 4 * (source + k), count)
            else:
                value = simd.to_f32(simd.load_s8_first(weight + source + k, count)) - z
            simd.store_f32(target, simd.where((1 << count) - 1, value))
        target += 64 * a.c_out


@inner
def convert(a, floats):  # type: ignore[no-untyped-def]
    """Write weights [C_out][tap][C_in] as float32 [tap][block of 16 inputs][C_out][16]."""
    for c in range(a.c_out):
        for tap in range(a.kh * a.kw):
            convert_row(a, c, tap, floats)


@inner
def renew(a):  # type: ignore[no-untyped-def]
    """Convert again, of int8 weights [C_out][tap][C_in], the rows that are no longer what they were."""
    taps, size = a.kh * a.kw, a.c_in
    if same.differ(a.weight, a.known, a.c_out * taps * size) == 0:
        return
    for c in range(a.c_out):
        for tap in range(taps):
            at = (c * taps + tap) * size
            if same.differ(a.weight + at, a.known + at, size) != 0:
                convert_row(a, c, tap, a.floats)
                simd.copy(a.weight + at, a.known + at, size)


@inner
def rows_of(left):  # type: ignore[no-untyped-def]
    """Return the rows of the next tile where so many are left."""
    return tiles.SUMS if left >= tiles.SUMS else 8 if left > 4 else 4


@inner
def sum_tiles(a, a_row, a_step, w, w_step, w_block, steps, out, out_stride, rows, columns, fresh):  # type: ignore[no-untyped-def]
    """Write a tile of ``rows`` (16, 8 or 4), or add to it unless it is ``fresh``; see ``tiles``.

    ``w_block`` are the bytes from 16 columns to the next 16. Columns are written up to a multiple of 8.
    """
    at = w - w_block
    for c in range(0, columns, 16):
        at, to, half = at + w_block, out + 4 * c, columns - c <= 8
        if rows == tiles.SUMS:
            if half:
                tiles.half_16(a, a_row, a_step, at, w_step, steps, to, out_stride, fresh)
            else:
                tiles.sum_16(a, a_row, a_step, at, w_step, steps, to, out_stride, fresh)
        elif rows == 8:
            if half:
                tiles.half_8(a, a_row, a_step, at, w_step, steps, to, out_stride, fresh)
            else:
                tiles.sum_8(a, a_row, a_step, at, w_step, steps, to, out_stride, fresh)
        elif half:
            tiles.half_4(a, a_row, a_step, at, w_step, steps, to, out_stride, fresh)
        else:
            tiles.sum_4(a, a_row, a_step, at, w_step, steps, to, out_stride, fresh)


@inner
def cleared(at, stride, rows, count):  # type: ignore[no-untyped-def]
    """Set ``count`` float32 of each row to zero."""
    for p in range(rows):
        for c in range(0, count, 16):
            simd.store_f32_first(at + p * stride + 4 * c, simd.splat_f32(np.float32(0)), min(count - c, 16))


@compiled
def grad_input_convolution(address, g_scale, x_scale, accumulate):  # type: ignore[no-untyped-def]
    """Standard convolutions and fully connected ops: tiles of input pixels that meet the same taps."""
    a = record_at(address, RECORD)
    wide, deep = a.c_in + (-a.c_in & 15), a.c_out + (-a.c_out & 15)
    statistics = simd.int64_at(a.workspace)
    out = statistics + STATISTICS_BYTES
    weights = out + tiles.SUMS * wide * 4
    plane = weights
    clear_statistics(statistics)
    bias = begin_bias(a)
    if a.floats != 0:
        weights = a.floats
        if a.known != 0:
            renew(a)
    else:
        plane += a.kh * a.kw * a.c_out * wide * 4
        convert(a, weights)
    direct = a.g_x_format == FLOAT32 and not accumulate and a.c_in % 8 == 0
    cleared(out, wide * 4, tiles.SUMS, wide)
    for image in range(a.n):
        if a.rows != PIXEL_BY_PIXEL:
            clear_plane(a, 1, deep, plane)
        if not a.rows:
            load_rows(a, g_scale, image, 1, deep, plane, plane, 0, a.oh, bias)
        loaded = 0
        for y in range(a.h):
            if a.rows == ROW_BY_ROW:
                loaded = load_needed(a, g_scale, image, 1, deep, plane, plane, y, loaded, bias)
            for phase in range(min(a.stride_w, a.w)):
                pixels = (a.w - phase + a.stride_w - 1) // a.stride_w
                first = 0
                while first < pixels:
                    x, rows = phase + first * a.stride_w, rows_of(pixels - first)
                    count = min(rows, pixels - first)
                    whole = direct and count == rows
                    pixel, to, stride = (image * a.h + y) * a.w + x, out, wide * 4
                    if whole:
                        to, stride = a.g_x + 4 * a.c_in * pixel, a.stride_w * a.c_in * 4
                    if a.rows == PIXEL_BY_PIXEL:
                        load_pixels(a, g_scale, first, count, plane, deep * 4)
                        add_pixels(plane, deep * 4, count, a.c_out, bias)
                        sum_tiles(
                            plane, deep * 4, 4, weights, 64, 64 * a.c_out, a.c_out, to, stride, rows, a.c_in,
                            1,
                        )  # fmt: skip
                    else:
                        taps_met(a, plane, weights, deep, wide, x, y, to, stride, rows)
                    if not whole and wide == a.c_in and a.stride_w == 1:
                        index, size = pixel * wide, count * wide
                        store_row(a.g_x, a.g_x_format, x_scale, accumulate, index, size, out, statistics)
                    elif not whole:
                        for p in range(count):
                            index, at = (pixel + p * a.stride_w) * a.c_in, out + p * wide * 4
                            store_row(
                                a.g_x, a.g_x_format, x_scale, accumulate, index, a.c_in, at, statistics
                            )  # fmt: skip
                    first += rows
    end_bias(a)
    return read_statistics(statistics)


@inner
def taps_met(a, plane, weights, deep, wide, x, y, to, stride, rows):  # type: ignore[no-untyped-def]
    """Sum all taps that the input pixels from (y, x) on meet, or write zeros if they meet none."""
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
            sum_tiles(at, deep * 4, 4, w, 64, 64 * a.c_out, a.c_out, to, stride, rows, a.c_in, fresh)
            fresh = 0
    if fresh:
        cleared(to, stride, rows, a.c_in)


class GradInput(Gradient, GradInputKernel):
    """Kernel of a weighted op; see ``backward.grad_input``.

    ``bind`` also takes where the gradient of the bias goes, which is then summed in the same pass.
    """

    def __init__(
        self, op: Op, tensors: Tensors, workspace: Workspace | None, *, fixed_weight: bool = False
    ) -> None:
        super().__init__(op, tensors, workspace)
        self._depthwise = op.kind is OpKind.DEPTHWISE_CONV_2D
        self._bias_sums = np.zeros(self._factor.size, np.float32)
        weight = tensors[op.inputs[1]]
        if weight.dtype == "float32" and not (fixed_weight or self._depthwise):
            return  # converted in every call
        known = constant(op, tensors, 1) if fixed_weight else np.zeros(weight.shape, np.int8)
        self._keep = known, self._converted(known)
        self._constants[0]["floats"] = address_of(self._keep[1])
        if not fixed_weight:
            self._constants[0]["known"] = address_of(known)

    def _converted(self, weight: Array) -> Array:
        """Return weights as the kernels convert those that change."""
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
        if self._depthwise:
            return floats
        return np.ascontiguousarray(floats.reshape(taps, c_out, -1, 16).transpose(0, 2, 1, 3))

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        g_y, mask, g_x, weight, *bias = buffers
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
        if self.op.kind is OpKind.CONV_2D and self._pointwise(r, g_x.shape, g_y.shape):
            r["rows"] = PIXEL_BY_PIXEL  # wherever it lies: what is made of a few pixels stays in the cache
        if bias:
            what = f"bias gradient of {self.name}"
            check(what, bias[0], "float32")
            check_shape(what, bias[0].reshape(-1), (int(r["c_out"]),))
            r["bias"], r["bias_sums"] = address_of(bias[0]), address_of(self._bias_sums)
        self._frame_outputs(r)
        self.workspace.reserve(self._workspace_bytes(r))
        return grad_input_depthwise if self._depthwise else grad_input_convolution, record

    def loads_all(self, *buffers: Any) -> bool:
        """Return True if it loads every pixel of the output's gradient: then it can sum that of the bias too.

        Each is loaded once, ascending. ``buffers`` are those of ``bind``, without the bias.
        """
        r = self._record(*buffers)[1][0]
        if r["rows"] != ROW_BY_ROW:
            return True
        loaded, stride = 0, int(r["stride_h"])
        for y in range(int(r["h"])):
            least = y + int(r["top"]) - int((r["kh"] - 1) * r["dilation_h"])
            if -(-least // stride) > loaded:
                return False
            loaded = max(loaded, min((y + int(r["top"])) // stride + 1, int(r["oh"])))
        return loaded == int(r["oh"])

    def _workspace_bytes(self, r: Any) -> int:
        c_in, c_out, taps = aligned(4 * int(r["c_in"])), aligned(4 * int(r["c_out"])), int(r["kh"] * r["kw"])
        pixels = tile_rows(int(r["plane_h"] * r["plane_w"]))
        if not self._depthwise:
            return STATISTICS_BYTES + tiles.SUMS * c_in + taps * int(r["c_out"]) * c_in + pixels * c_out + 256
        several = int(r["multiplier"]) * c_in
        rows = int(r["w"]) * c_in
        return STATISTICS_BYTES + 16 * taps * int(r["multiplier"]) + c_out + pixels * several + rows + 512
