"""What a learning op does before its kernel of `fused` runs: pack weights that changed, add the bias.

Weights are compared with those that were packed before: most of them stay what they are from step to step,
however they learn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.fused import C_OUT, KH, QUADS, get
from mcusim.kernels.compiled.prepared import address_of, array_at
from mcusim.kernels.vector import same, simd
from mcusim.kernels.vector.fused import AT
from mcusim.kernels.vector.packs import pack_column, pack_rows

WEIGHT, KNOWN, RAW_BIAS, MOST_BIAS, BASE, OFFSET, PACKED, Z_X, LAYOUT, ROW = (
    AT[name]
    for name in (
        "weight", "known", "raw_bias", "most_bias", "base", "offset", "packed", "z_x", "layout", "row",
    )
)  # fmt: skip
KEPT, ROWS, LINES, TWO_LINES = range(4)
"""Layouts of weights: packed once; rows of a convolution; columns of a depthwise one, for one line or two."""


@inner
def _rows(a):  # type: ignore[no-untyped-def]
    """Pack [C_out][kh][row] as [block][kh][quad][16 outputs][4] where it changed.

    ``base`` corrects for x + 128 - z_x.
    """
    kh, row, quads, c_out = get(a, KH), get(a, ROW), get(a, QUADS), get(a, C_OUT)
    for c in range(0, c_out, 16):
        count, start, known = min(c_out - c, 16), get(a, WEIGHT) + c * kh * row, get(a, KNOWN) + c * kh * row
        if same.differ(start, known, count * kh * row) == 0:
            continue
        simd.copy(start, known, count * kh * row)
        if row % 4 == 0 and kh == 1:
            sizes = (count << 32) + 128 + get(a, Z_X)
            pack_rows(start, get(a, PACKED) + c * row, get(a, BASE) + 4 * c, row, sizes)
        else:
            _windows(known, get(a, PACKED) + c * kh * quads * 4, get(a, BASE) + 4 * c, a, count)


@inner
def _windows(start, packed, base, a, count):  # type: ignore[no-untyped-def]
    """Pack the windows of up to 16 outputs."""
    kh, row, quads = get(a, KH), get(a, ROW), get(a, QUADS)
    bases = array_at(base, 16, np.int32)
    weight = array_at(start, count * kh * row, np.int8)
    target = array_at(packed, kh * quads * 64, np.int8)
    for c in range(count):
        total = np.int32(0)
        for i in range(kh):
            for k in range(row):
                value = weight[(c * kh + i) * row + k]
                total += value
                target[((i * quads + k // 4) * 16 + c) * 4 + k % 4] = value
        bases[c] = -(128 + get(a, Z_X)) * total


@inner
def _columns(a, two):  # type: ignore[no-untyped-def]
    """Pack [kh][kw][C] as [group][line][kw][16 channels][4 rows]; of two lines the second is a row lower."""
    kh, kw, c_out = get(a, KH), get(a, ROW), get(a, C_OUT)
    weight, step = get(a, WEIGHT), kw * c_out
    if same.differ(weight, get(a, KNOWN), kh * step) == 0:
        return
    simd.copy(weight, get(a, KNOWN), kh * step)
    factor, target = simd.splat_i32(np.int32(-(128 + get(a, Z_X)))), get(a, PACKED)
    for c in range(0, c_out, 16):
        total = simd.splat_i32(np.int32(0))
        for i in range(0, kh, 4):
            for j in range(kw):
                first = weight + (i * kw + j) * c_out + c
                lower = target + kw * 64 if two else 0
                total = total + pack_column(first, step, min(kh - i, 4), min(c_out - c, 16), target, lower)
                target += 64
            if two:
                target += kw * 64
        simd.store_i32(get(a, BASE) + 4 * c, total * factor)


@compiled
def prepare(a):  # type: ignore[no-untyped-def]
    """Bring packed weights and offsets up to date; return 1 if a bias is too large for exact tiles."""
    layout = get(a, LAYOUT)
    if layout == ROWS:
        _rows(a)
    elif layout != KEPT:
        _columns(a, layout == TWO_LINES)
    c_out, most = get(a, C_OUT), get(a, MOST_BIAS)
    base = array_at(get(a, BASE), c_out, np.int32)
    offset = array_at(get(a, OFFSET), c_out, np.int32)
    if get(a, RAW_BIAS) == 0:
        for c in range(c_out):
            offset[c] = base[c]
        return 0
    bias = array_at(get(a, RAW_BIAS), c_out, np.int32)
    large = 0
    for c in range(c_out):
        offset[c] = base[c] + bias[c]
        large |= abs(np.int64(bias[c])) >= most
    return int(large)


class Guarded:
    """A kernel of a learning op: prepared, then run, or run the general way where it would not be exact.

    Args:
        run: kernel of `fused`.
        general: the general kernel.
        record: the general kernel's own record.
    """

    def __init__(self, run: Any, general: Any, record: NDArray[Any]) -> None:
        self.run, self._general, self._record = run, general, record

    def otherwise(self) -> None:
        """Run the general way."""
        self._general(address_of(self._record))

    def __call__(self, record: int) -> None:
        """Run on the record at an address."""
        if prepare(record):
            self.otherwise()
        else:
            self.run(record)
