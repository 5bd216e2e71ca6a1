"""Forward of depthwise convolutions, 16 channels at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.prepared import array_at, record_at
from mcusim.kernels.compiled.requant import place_bias, requantise
from mcusim.kernels.compiled.staging import fill, flip
from mcusim.kernels.compiled.weighted import RECORD, WeightedForward
from mcusim.kernels.vector import simd

PIXELS = 4


@compiled
def pack(address):  # type: ignore[no-untyped-def]
    """Arrange weights as [pair of taps][channel][2] int16 and derive the constants, as for convolutions."""
    a = record_at(address, RECORD)
    taps, channels = a.kh * a.kw, a.blocks * 16
    weight = array_at(a.weight, taps * a.c_out, np.int8)
    packed = array_at(a.packed, (taps + 1) // 2 * channels * 2, np.int16)
    offset = array_at(a.offset, a.c_out, np.int32)
    for c in range(a.c_out):
        offset[c] = 0
    for t in range(taps):
        for c in range(a.c_out):
            w = weight[t * a.c_out + c] - a.z_w
            packed[(t // 2 * channels + c) * 2 + t % 2] = w
            offset[c] -= (128 + a.z_x) * w
    place_bias(a, taps)


@inner
def copy_rows(a, image, plane, begin, end):  # type: ignore[no-untyped-def]
    """Copy some rows of one image as uint8 into a padded plane [plane_h][plane_w][channels]."""
    channels, multiplier = a.blocks * 16, a.c_out // a.c_in
    nothing = 128 + a.z_x
    line = a.plane_w * channels
    right = a.left + min(a.w, a.plane_w - a.left)
    for i in range(begin, end):
        row = plane + i * line
        y = i - a.top
        if y < 0 or y >= a.h:
            fill(row, nothing, line)
            continue
        source = a.x + (image * a.h + y) * a.w * a.c_in
        fill(row, nothing, a.left * channels)
        if multiplier > 1:
            values = array_at(source, a.w * a.c_in, np.int8)
            target = array_at(row, line, np.uint8)
            for x in range(right - a.left):
                for c in range(a.c_out):
                    target[(a.left + x) * channels + c] = values[x * a.c_in + c // multiplier] + 128
        elif channels == a.c_in:
            flip(source, row + a.left * channels, (right - a.left) * channels)
        else:
            for x in range(right - a.left):
                flip(source + x * a.c_in, row + (a.left + x) * channels, a.c_in)
        fill(row + right * channels, nothing, (a.plane_w - right) * channels)


@compiled
def convolve(address):  # type: ignore[no-untyped-def]
    """Run the op that the record at ``address`` describes. The output may lie on the input.

    An output that grows over its input from below finds every row read just before it is needed.
    """
    if record_at(address, RECORD).repack:
        pack(address)
    a = record_at(address, RECORD)
    taps, channels = a.kh * a.kw, a.blocks * 16
    pairs = (taps + 1) // 2
    start = simd.int64_at(a.workspace)
    at = array_at(start, 2 * pairs, np.int64)
    for t in range(2 * pairs):
        tap = min(t, taps - 1)
        at[t] = ((tap // a.kw) * a.dilation_h * a.plane_w + (tap % a.kw) * a.dilation_w) * channels
    sums = start + 16 * pairs
    sums += -sums % 64
    plane = sums + PIXELS * channels * 4
    step = a.stride_w * channels
    for image in range(a.n):
        if not a.rows:
            copy_rows(a, image, plane, 0, a.plane_h)
        for i in range(a.oh):
            if a.rows:
                first = i * a.stride_h
                copy_rows(a, image, plane, first, min(first + (a.kh - 1) * a.dilation_h + 1, a.plane_h))
            line = plane + i * a.stride_h * a.plane_w * channels
            for j in range(0, a.ow, PIXELS):
                count = min(PIXELS, a.ow - j)
                for c in range(0, channels, 16):
                    x0 = line + j * step + c
                    x1, x2, x3 = x0 + step, x0 + 2 * step, x0 + 3 * step
                    w = a.packed + 4 * c
                    s0 = s1 = s2 = s3 = simd.splat_i32(np.int32(0))
                    for t in range(pairs):
                        p, q = at[2 * t], at[2 * t + 1]
                        weights = simd.load_i32(w)
                        s0 = simd.add_dot2(s0, simd.pair(simd.load_u8(x0 + p), simd.load_u8(x0 + q)), weights)
                        s1 = simd.add_dot2(s1, simd.pair(simd.load_u8(x1 + p), simd.load_u8(x1 + q)), weights)
                        s2 = simd.add_dot2(s2, simd.pair(simd.load_u8(x2 + p), simd.load_u8(x2 + q)), weights)
                        s3 = simd.add_dot2(s3, simd.pair(simd.load_u8(x3 + p), simd.load_u8(x3 + q)), weights)
                        w += 4 * channels
                    out = sums + 4 * c
                    simd.store_i32(out, s0)
                    simd.store_i32(out + 4 * channels, s1)
                    simd.store_i32(out + 8 * channels, s2)
                    simd.store_i32(out + 12 * channels, s3)
                requantise(a, sums, 4 * channels, (image * a.oh + i) * a.ow + j, count)


class Depthwise(WeightedForward):
    """DEPTHWISE_CONV_2D; its output may start where its input starts."""

    in_place = True

    def _set_shape(self, r: Any, tensors: Tensors) -> None:
        _, r["kh"], r["kw"], r["c_out"] = self.weight_shape
        r["c_in"] = tensors[self.op.inputs[0]].shape[-1]

    def _packed_bytes(self, r: Any) -> int:
        return (int(r["kh"] * r["kw"]) + 1) // 2 * int(r["blocks"]) * 64

    def _workspace_bytes(self, r: Any) -> int:
        channels, taps = int(r["blocks"]) * 16, int(r["kh"] * r["kw"])
        # A last, incomplete tile of pixels reads beyond the plane.
        slack = PIXELS * int(r["stride_w"]) + int(r["kw"] * r["dilation_w"])
        plane = (int(r["plane_h"] * r["plane_w"]) + slack) * channels
        return 8 * (taps + 1) + PIXELS * channels * 4 + plane + 256

    def _pack(self, address: int) -> None:
        pack(address)

    def _entry(self) -> Any:
        return convolve

    def _set_sizes(self, r: Any, x: Array, y: Array) -> None:
        super()._set_sizes(r, x, y)
        for d, k in (("h", "kh"), ("w", "kw")):
            needed = (int(r[f"o{d}"]) - 1) * int(r[f"stride_{d}"])
            r[f"plane_{d}"] = max(
                needed + (int(r[k]) - 1) * int(r[f"dilation_{d}"]) + 1,
                int(r["top" if d == "h" else "left"]) + 1,
            )
