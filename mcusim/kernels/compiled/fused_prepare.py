"""What a learning op does before its kernel of `fused` runs: pack weights that changed, add the bias.

Weights are compared with those that were packed before: most of them stay what they are from step to step,
however they learn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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

WEIGHT, KNOWN, RAW_BIAS, MOST_BIAS, BASE, OFFSET, PACKED, Z_X, LAYOUT, ROW, REACH, FACTOR, LOW, HIGH, ZERO = (
    AT[name]
    for name in (
        "weight", "known", "raw_bias", "most_bias", "base", "offset", "packed", "z_x", "layout", "row",
        "reach", "factor", "low", "high", "zero",
    )
)  # fmt: skip
INT32_MAX = (1 << 31) - 1
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


@inner
def nearer(bias, reach, factor, low, high):  # type: ignore[no-untyped-def]
    """Return a bias with which no sum leaves 32 bits and every output stays what it is, or ``bias`` itself.

    Channels whose weights are next to nothing have a tiny scale, and so a bias that fills its 32 bits: their
    output is that bias, rescaled, whatever the input. Sums without a bias are at most ``reach``, so with
    either bias the accumulator is within twice that of this one. Rescaling is monotone: where both ends give
    one integer, or lie on the same side of the clamp (``low`` to ``high``, less the zero point), so does
    everything between, and the mask with it.
    """
    room, far = INT32_MAX - reach, 2 * reach + 1
    near = min(max(bias, -room), room)
    least = np.rint(np.float32(bias - far) * factor)
    most = np.rint(np.float32(bias + far) * factor)
    return near if near == bias or least == most or least > high or most < low else bias


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
    reach, room = get(a, REACH), INT32_MAX - get(a, REACH)
    factor, zero = array_at(get(a, FACTOR), c_out, np.float32), get(a, ZERO)
    large = 0
    for c in range(c_out):
        own = np.int64(bias[c])
        if abs(own) >= most:
            if reach != 0:
                own = nearer(own, reach, factor[c], get(a, LOW) - zero, get(a, HIGH) - zero)
            large |= reach == 0 or abs(own) > room
        offset[c] = base[c] + own
    return int(large)


class Guarded:
    """A kernel of a learning op: prepared, then run, or run the general way where it would not be exact.

    Args:
        run: kernel of `fused`.
        general: the general kernel.
        record: the general kernel's own record.

    Attributes:
        otherwise: the general way.
    """

    def __init__(self, run: Any, general: Any, record: NDArray[Any]) -> None:
        self.run, self._record = run, record
        self.otherwise: Callable[[], None] = partial(general, address_of(record))

    def __call__(self, record: int) -> None:
        """Run on the record at an address."""
        if prepare(record):
            self.otherwise()
        else:
            self.run(record)
