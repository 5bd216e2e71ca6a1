"""Gradients of ops without weights that pass g on, times a constant: ADD, MEAN, RESHAPE, DEQUANTIZE."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.graph import Op
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.errors import (
    STATISTICS_BYTES,
    clear_statistics,
    load_values,
    mask_bits,
    read_statistics,
    store_row,
)
from mcusim.kernels.compiled.prepared import (
    GradInputKernel,
    Workspace,
    address_of,
    aligned,
    check,
    check_mask,
    record_at,
)
from mcusim.kernels.number_formats import ERRORS
from mcusim.kernels.vector import simd

INTEGERS = (
    "g",
    "g_format",
    "mask",
    "mask_bytes",
    "g_x",
    "g_x_format",
    "workspace",
    "count",
    "inner",
    "repeats",
)
RECORD = np.dtype([(name, np.int64) for name in INTEGERS] + [("factor", np.float32), ("_", np.float32)])

ROW = 1024
"""Elements worked on at a time where rows have no meaning."""


@compiled
def pass_on(address, g_scale, x_scale, accumulate):  # type: ignore[no-untyped-def]
    """Write g * factor; each run of ``inner`` elements of g goes to ``repeats`` runs of g_x."""
    r = record_at(address, RECORD)
    unit, factor = simd.splat_f32(np.float32(g_scale)), simd.splat_f32(r.factor)
    statistics = simd.int64_at(r.workspace)
    row = statistics + STATISTICS_BYTES
    clear_statistics(statistics)
    for first in range(0, r.count, r.inner):
        inner = min(r.inner, r.count - first)
        for i in range(0, inner, 16):
            value = load_values(r.g, r.g_format, first + i, min(inner - i, 16)) * unit
            if r.mask != 0:
                value = simd.where(mask_bits(r.mask, r.mask_bytes, first + i), value)
            simd.store_f32(row + 4 * i, value * factor)
        for k in range(r.repeats):
            at = first * r.repeats + k * inner
            store_row(r.g_x, r.g_x_format, x_scale, accumulate, at, inner, row, statistics)
    return read_statistics(statistics)


class PassOn(GradInputKernel):
    """Kernel of such an op: g_x = g * factor, in the same order of elements, or spread over an image.

    Args:
        op: the op.
        factor: constant derivative; with ``spread`` it is divided by the pixels of the image.
        spread: the op is a mean over height and width: every pixel gets the same gradient.
    """

    def __init__(self, op: Op, factor: np.float32, *, spread: bool = False) -> None:
        super().__init__()
        self.name, self.factor, self.spread = f"op {op.name!r}", factor, spread
        self._workspace = Workspace()

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        g, mask, g_x, *_ = buffers
        record = np.zeros(1, RECORD)
        r = record[0]
        for field, array in (("g", g), ("g_x", g_x)):
            if str(array.dtype) not in ERRORS:
                raise BadArgument(f"{field} of {self.name}", f"is {array.dtype}")
            check(f"{field} of {self.name}", array, str(array.dtype))
            r[field], r[f"{field}_format"] = address_of(array), ERRORS[str(array.dtype)].compiled()
        pixels = int(np.prod(g_x.shape[1:3])) if self.spread else 1
        if g.size * pixels != g_x.size:
            raise BadArgument(f"gradients of {self.name}", f"have shapes {g.shape} and {g_x.shape}")
        if mask is not None:
            check_mask(self.name, mask, g)
            r["mask"], r["mask_bytes"] = address_of(mask), mask.size
        # Rows of a mean are channels; otherwise any length would do, and this one stays in the cache.
        r["count"], r["repeats"] = g.size, pixels
        r["inner"] = g_x.shape[-1] if self.spread else min(g.size, ROW)
        r["factor"] = self.factor / np.float32(pixels)
        self._workspace.reserve(STATISTICS_BYTES + aligned(4 * int(r["inner"])))
        r["workspace"] = address_of(self._workspace.cell)
        return pass_on, record
