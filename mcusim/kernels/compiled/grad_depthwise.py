"""Gradients of depthwise convolutions with respect to their input."""

from __future__ import annotations

import numpy as np

from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.errors import (
    FLOAT32,
    STATISTICS_BYTES,
    begin_bias,
    clear_statistics,
    end_bias,
    read_statistics,
    store_row,
)
from mcusim.kernels.compiled.grad_record import RECORD
from mcusim.kernels.compiled.planes import clear_plane, load_needed, load_rows
from mcusim.kernels.compiled.prepared import array_at, record_at
from mcusim.kernels.vector import same, simd, tiles


@inner
def _split(a, wide, weights):  # type: ignore[no-untyped-def]
    """Write int8 depthwise weights [tap][C_out] as float32 [tap][remainder][wide], zero beyond C_in."""
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
def _slide(a, g_scale, image, plane, weights, wide, x_scale, accumulate, statistics, rows, direct, sums):  # type: ignore[no-untyped-def]
    """3x3 windows at stride 1: rows of input pixels."""
    line, loaded = a.plane_w * wide * 4, 0
    for y in range(a.h):
        if a.rows:
            loaded = load_needed(a, g_scale, image, 1, wide, plane, plane, y, loaded, sums)
        g = plane + (y + a.top + a.before_h) * line + (a.left + a.before_w) * wide * 4
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
    row = met + 16 * taps * a.multiplier + 64
    row += -row % 64
    sums = row + (a.c_out + 16) * 4
    sums += -sums % 64
    plane = sums + a.w * wide * 4
    clear_statistics(statistics)
    bias = begin_bias(a)
    if a.known != 0 and same.differ(a.weight, a.known, taps * a.c_out) != 0:
        _split(a, wide, a.floats)
        simd.copy(a.weight, a.known, taps * a.c_out)
    weights = a.floats
    direct = a.g_x_format == FLOAT32 and not accumulate and wide == a.c_in
    slides = a.kh == 3 and a.kw == 3 and a.multiplier == 1 and a.stride_h * a.stride_w == 1
    slides = slides and a.dilation_h * a.dilation_w == 1
    for image in range(a.n):
        clear_plane(a, a.multiplier, wide, plane)
        if not a.rows:
            load_rows(a, g_scale, image, a.multiplier, wide, plane, row, 0, a.oh, bias)
        if slides:
            _slide(
                a, g_scale, image, plane, weights, wide, x_scale, accumulate, statistics, sums, direct, bias
            )
            continue
        loaded = 0
        for y in range(a.h):
            if a.rows:
                loaded = load_needed(a, g_scale, image, a.multiplier, wide, plane, row, y, loaded, bias)
            for phase in range(min(a.stride_w, a.w)):
                pixels = (a.w - phase + a.stride_w - 1) // a.stride_w
                count = taps_of(a, y, phase, plane, weights, wide, met)
                index = ((image * a.h + y) * a.w + phase) * a.c_in
                to, step = sums, wide * 4
                if direct:
                    to, step = a.g_x + 4 * index, a.stride_w * wide * 4
                for c in range(0, 4 * wide, 64):
                    tap_line(met, count, c, wide * 4, to + c, step, pixels)
                if not direct:
                    for p in range(pixels):
                        own = index + p * a.stride_w * a.c_in
                        at = sums + p * wide * 4
                        store_row(a.g_x, a.g_x_format, x_scale, accumulate, own, a.c_in, at, statistics)
    end_bias(a)
    return read_statistics(statistics)


@inner
def taps_of(a, y, x, plane, weights, wide, met):  # type: ignore[no-untyped-def]
    """Write where the taps that an input pixel meets find their factor and weights; return how many."""
    size, count = a.plane_h * a.plane_w * wide * 4, 0
    places = array_at(met, 2 * a.kh * a.kw * a.multiplier, np.int64)
    for i in range(a.kh):
        above = y + a.top - i * a.dilation_h
        if above % a.stride_h != 0:
            continue
        line = (above // a.stride_h + a.before_h) * a.plane_w
        for j in range(a.kw):
            before = x + a.left - j * a.dilation_w
            if before % a.stride_w != 0:
                continue
            g = plane + (line + before // a.stride_w + a.before_w) * wide * 4
            w = weights + (i * a.kw + j) * a.multiplier * wide * 4
            for m in range(a.multiplier):
                places[2 * count] = g + m * size
                places[2 * count + 1] = w + m * wide * 4
                count += 1
    return count


@inner
def tap_line(met, count, c, step, to, to_step, pixels):  # type: ignore[no-untyped-def]
    """Sum the same taps for pixels of a line, 16 channels at byte ``c``."""
    p = 0
    while p < pixels:
        first, own = p * step, to + p * to_step
        if pixels - p >= 8:
            tiles.taps_8(met, count, c, first, step, own, to_step)
            p += 8
        elif pixels - p >= 4:
            tiles.taps_4(met, count, c, first, step, own, to_step)
            p += 4
        else:
            tiles.taps_1(met, count, c, first, step, own, to_step)
            p += 1
