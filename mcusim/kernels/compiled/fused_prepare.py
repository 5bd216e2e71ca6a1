"""What a learning op does before its kernel of `fused` runs: pack weights that changed, add the bias."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.fused import C_OUT, KH, QUADS, get
from mcusim.kernels.compiled.prepared import address_of, array_at
from mcusim.kernels.vector.fused import AT
from mcusim.kernels.vector.packs import pack_rows

WEIGHT, RAW_BIAS, MOST_BIAS, BASE, OFFSET, PACKED, BLOCKS, Z_X, LAYOUT, ROW = (
    AT[name]
    for name in (
        "weight", "raw_bias", "most_bias", "base", "offset", "packed", "blocks", "z_x", "layout", "row",
    )
)  # fmt: skip
KEPT, ROWS, LINES, TWO_LINES = range(4)
"""Layouts of weights: packed once; rows of a convolution; columns of a depthwise one, for one line or two."""


@inner
def _rows(a):  # type: ignore[no-untyped-def]
    """Pack [C_out][kh][row] as [block][kh][quad][16 outputs][4]; ``base`` corrects for x + 128 - z_x."""
    kh, row, quads, c_out = get(a, KH), get(a, ROW), get(a, QUADS), get(a, C_OUT)
    if row % 4 == 0 and kh == 1:
        for c in range(0, c_out, 16):
            sizes = (min(c_out - c, 16) << 32) + 128 + get(a, Z_X)
            start = get(a, WEIGHT) + c * row
            pack_rows(start, get(a, PACKED) + c * row, get(a, BASE) + 4 * c, row, sizes)
        return
    base = array_at(get(a, BASE), c_out, np.int32)
    weight = array_at(get(a, WEIGHT), c_out * kh * row, np.int8)
    words = array_at(get(a, PACKED), get(a, BLOCKS) * kh * quads * 16, np.int32)
    tail = array_at(get(a, PACKED), get(a, BLOCKS) * kh * quads * 64, np.int8)
    full = row // 4
    for c in range(c_out):
        total = np.int32(0)
        for k in range(c * kh * row, (c + 1) * kh * row):
            total += weight[k]
        base[c] = -(128 + get(a, Z_X)) * total
        for i in range(kh):
            at = ((c // 16 * kh + i) * quads) * 16 + c % 16
            start = (c * kh + i) * row
            source = array_at(get(a, WEIGHT) + start, full, np.int32)
            for q in range(full):
                words[at + 16 * q] = source[q]
            for k in range(4 * full, row):
                tail[(at + 16 * full) * 4 + k % 4] = weight[start + k]


@inner
def _columns(a, two):  # type: ignore[no-untyped-def]
    """Pack [kh][kw][C] as [group][line][kw][16 channels][4 rows]; of two lines the second is a row lower."""
    kh, kw, lines, c_out = get(a, KH), get(a, ROW), get(a, QUADS), get(a, C_OUT)
    base = array_at(get(a, BASE), c_out, np.int32)
    weight = array_at(get(a, WEIGHT), kh * kw * c_out, np.int8)
    each = lines * (2 if two else 1)
    packed = array_at(get(a, PACKED), get(a, BLOCKS) * each * kw * 64, np.int8)
    for c in range(c_out):
        base[c] = 0
    for i in range(kh):
        for j in range(kw):
            for c in range(c_out):
                w = weight[(i * kw + j) * c_out + c]
                base[c] -= (128 + get(a, Z_X)) * w
                at = ((c // 16 * each + i // 4) * kw + j) * 64 + c % 16 * 4 + i % 4
                packed[at] = w
                if two:
                    packed[at + kw * 64 + 1] = w


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
