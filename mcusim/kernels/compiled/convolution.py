"""Forward of standard convolutions and fully connected ops: int8 matrix products over im2col rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcusim.graph import OpKind
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.prepared import aligned, array_at, check_shape, record_at
from mcusim.kernels.compiled.requant import add_to_row, place_bias, requantise
from mcusim.kernels.compiled.staging import fill, flip
from mcusim.kernels.compiled.weighted import RECORD, WeightedForward
from mcusim.kernels.vector import simd, tiles

PIXELS, QUAD = tiles.PIXELS, tiles.QUAD


@compiled
def pack(address):  # type: ignore[no-untyped-def]
    """Arrange weights as [block of 16 outputs][quad of inputs][16][4] and derive the constants.

    The kernel multiplies x + 128, which is unsigned: offset[c] = -(128 + z_x) * Σ_k W[c, k] corrects it.
    """
    a = record_at(address, RECORD)
    k = a.kh * a.kw * a.c_in
    quads = a.row_bytes // QUAD
    weight = array_at(a.weight, a.c_out * k, np.int8)
    packed = array_at(a.packed, a.blocks * quads * 64, np.int8)
    words = array_at(a.packed, a.blocks * quads * 16, np.int32)
    offset = array_at(a.offset, a.c_out, np.int32)
    full = k // QUAD
    for c in range(a.c_out):
        base = (c // 16) * quads * 16 + c % 16
        source = array_at(a.weight + c * k, full, np.int32)
        total = np.int32(0)
        for i in range(k):
            total += weight[c * k + i]
        for q in range(full):
            words[base + 16 * q] = source[q]
        for i in range(full * QUAD, k):
            packed[(base + 16 * full) * QUAD + i % QUAD] = weight[c * k + i]
        offset[c] = -(128 + a.z_x) * total
    place_bias(a, k)


@inner
def gather(a, pixel, row):  # type: ignore[no-untyped-def]
    """Write the im2col row of one output pixel: taps in row-major order, channels innermost."""
    column = pixel % a.ow
    line = pixel // a.ow
    image = line // a.oh
    top = (line % a.oh) * a.stride_h - a.top
    left = column * a.stride_w - a.left
    nothing, end = 128 + a.z_x, a.x + a.n * a.h * a.w * a.c_in
    for i in range(a.kh):
        y = top + i * a.dilation_h
        if y < 0 or y >= a.h:
            fill(row, nothing, a.kw * a.c_in)
        else:
            source = a.x + ((image * a.h + y) * a.w + left) * a.c_in
            if a.dilation_w == 1 and left >= 0 and left + a.kw <= a.w:
                if a.kw * a.c_in <= 16 and source + 16 <= end:
                    # What is copied too much is overwritten by what follows.
                    simd.flip_16(source, row)
                else:
                    flip(source, row, a.kw * a.c_in)
            else:
                for j in range(a.kw):
                    x = left + j * a.dilation_w
                    if x < 0 or x >= a.w:
                        fill(row + j * a.c_in, nothing, a.c_in)
                    else:
                        flip(source + j * a.dilation_w * a.c_in, row + j * a.c_in, a.c_in)
        row += a.kw * a.c_in


@inner
def row_sum(a, row):  # type: ignore[no-untyped-def]
    """Return -z_w * Σ (x - z_x), the share of the weights' zero point."""
    k = a.kh * a.kw * a.c_in
    values = array_at(row, k, np.uint8)
    total = 0
    for i in range(k):
        total += values[i]
    return -a.z_w * (total - k * (128 + a.z_x))


@compiled
def convolve(address):  # type: ignore[no-untyped-def]
    """Run the op that the record at ``address`` describes."""
    if record_at(address, RECORD).repack:
        pack(address)
    a = record_at(address, RECORD)
    rows = simd.int64_at(a.workspace)
    row_bytes, blocks = a.row_bytes, a.blocks
    sums = rows + PIXELS * row_bytes + 64
    sums += -sums % 64
    stride, weights = blocks * 64, row_bytes * 16
    pixels = a.n * a.oh * a.ow
    plain = a.kh * a.kw * a.stride_h * a.stride_w == 1 and a.h == a.oh and a.w == a.ow
    for first in range(0, pixels, PIXELS):
        count = min(PIXELS, pixels - first)
        if plain and a.c_in == row_bytes:
            flip(a.x + first * a.c_in, rows, count * a.c_in)
        elif plain:
            for p in range(count):
                flip(a.x + (first + p) * a.c_in, rows + p * row_bytes, a.c_in)
        else:
            for p in range(count):
                gather(a, first + p, rows + p * row_bytes)
        block = 0
        while block < blocks:
            w, out = a.packed + block * weights, sums + block * 64
            if blocks - block >= 3:
                tiles.dot_tile_3(rows, row_bytes, w, weights, row_bytes // QUAD, out, stride)
                block += 3
            elif blocks - block == 2:
                tiles.dot_tile_2(rows, row_bytes, w, weights, row_bytes // QUAD, out, stride)
                block += 2
            else:
                tiles.dot_tile_1(rows, row_bytes, w, weights, row_bytes // QUAD, out, stride)
                block += 1
        if a.z_w != 0:
            for p in range(count):
                add_to_row(sums + p * stride, blocks, row_sum(a, rows + p * row_bytes))
        requantise(a, sums, stride, first, count)


class Convolution(WeightedForward):
    """CONV_2D and FULLY_CONNECTED with int8 weights."""

    def _set_shape(self, r: Any, tensors: Tensors) -> None:
        shape = self.weight_shape
        if self.op.kind is OpKind.FULLY_CONNECTED:
            shape = (shape[0], 1, 1, shape[1])
        r["c_out"], r["kh"], r["kw"], r["c_in"] = shape
        k = shape[1] * shape[2] * shape[3]
        r["row_bytes"] = k + -k % QUAD

    def _packed_bytes(self, r: Any) -> int:
        return int(r["blocks"] * r["row_bytes"]) * 16

    def _workspace_bytes(self, r: Any) -> int:
        return PIXELS * aligned(int(r["row_bytes"])) + PIXELS * int(r["blocks"]) * 64 + 256

    def _pack(self, address: int) -> None:
        pack(address)

    def _entry(self) -> Any:
        return convolve

    def _set_sizes(self, r: Any, x: Array, y: Array) -> None:
        if self.op.kind is not OpKind.FULLY_CONNECTED:
            super()._set_sizes(r, x, y)
            return
        rows = x.size // int(r["c_in"])
        check_shape(f"input of op {self.op.name!r}", x.reshape(-1), (rows * int(r["c_in"]),))
        check_shape(f"output of op {self.op.name!r}", y.reshape(-1), (rows * int(r["c_out"]),))
        r["n"], r["h"], r["w"], r["oh"], r["ow"] = rows, 1, 1, 1, 1
