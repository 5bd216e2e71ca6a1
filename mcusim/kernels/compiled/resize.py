"""RESIZE_BILINEAR of int8: each input row is stretched once, then every output row mixes two of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.graph import Op
from mcusim.kernels.arrays import Tensors
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.prepared import ForwardKernel, Workspace, address_of, array_at, check, record_at
from mcusim.kernels.reference.shape import weights
from mcusim.kernels.scales import clamp_of
from mcusim.kernels.vector import simd

RECORD = np.dtype([
    (name, np.int64)
    for name in ("x", "y", "workspace", "tables", "n", "h", "oh", "inner", "outer", "low", "high")
])  # fmt: skip
"""``inner`` and ``outer``: values of an input and of an output row."""


@compiled
def resize(address):  # type: ignore[no-untyped-def]
    """Run the op that the record at ``address`` describes.

    The sum of four products that TFLite rounds is linear in each dimension, and exact in 32 bits: to stretch
    along rows first and to mix rows then gives the same integers.
    """
    r = record_at(address, RECORD)
    down = array_at(r.tables, 4 * r.oh, np.int32)
    across = array_at(r.tables + 16 * r.oh, 4 * r.outer, np.int32)
    rows = array_at(simd.int64_at(r.workspace), 2 * r.outer, np.int32)
    for image in range(r.n):
        x = array_at(r.x + image * r.h * r.inner, r.h * r.inner, np.int8)
        y = array_at(r.y + image * r.oh * r.outer, r.oh * r.outer, np.int8)
        even, odd = -1, -1
        for i in range(r.oh):
            for way in range(2):
                row = down[way * r.oh + i]
                if (row & 1 and odd == row) or (not row & 1 and even == row):
                    continue
                if row & 1:
                    odd = row
                else:
                    even = row
                place, base = (row & 1) * r.outer, row * r.inner
                for k in range(r.outer):
                    lower = np.int32(x[base + across[k]]) * across[2 * r.outer + k]
                    rows[place + k] = (
                        lower + np.int32(x[base + across[r.outer + k]]) * across[3 * r.outer + k]
                    )
            first, second = (down[i] & 1) * r.outer, (down[r.oh + i] & 1) * r.outer
            share, rest, start = down[2 * r.oh + i], down[3 * r.oh + i], i * r.outer
            for k in range(r.outer):
                total = np.int32(np.int32(rows[first + k] * share) + np.int32(rows[second + k] * rest))
                size = np.int32(np.int32(abs(total) + np.int32(1 << 19)) >> 20)
                value = np.int32(-size if total < 0 else size)
                y[start + k] = np.int8(min(max(value, np.int32(r.low)), np.int32(r.high)))


class Resize(ForwardKernel):
    """RESIZE_BILINEAR of int8; see ``forward.forward``. It has no mask."""

    def __init__(self, op: Op, tensors: Tensors) -> None:
        super().__init__()
        self.op, self.workspace = op, Workspace()
        self.low, self.high = clamp_of(op)

    @staticmethod
    def can(op: Op, tensors: Tensors) -> bool:
        """True but for ops of uint8 networks, whose weights are float32."""
        return not op.attributes.unsigned

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        y, _, x = buffers
        name = f"op {self.op.name!r}"
        for what, array in (("input", x), ("output", y)):
            check(f"{what} of {name}", array, "int8")
        if x.ndim != 4 or y.ndim != 4 or (x.shape[0], x.shape[3]) != (y.shape[0], y.shape[3]):
            raise BadArgument(f"output of {name}", f"has shape {y.shape}, which does not fit {x.shape}")
        (n, h, w, channels), (_, oh, ow, _) = x.shape, y.shape
        vertical, horizontal = weights(self.op, 0, h, oh), weights(self.op, 1, w, ow)
        for span, both in ((h, vertical), (w, horizontal)):
            if any(index.min() < 0 or index.max() >= span for index, _ in both):
                raise BadArgument(f"input of {name}", f"has shape {x.shape}, which does not fit {y.shape}")
        channel = np.arange(channels)
        columns = [(index[:, None] * channels + channel).reshape(-1) for index, _ in horizontal]
        shares = [np.repeat(share, channels) for _, share in horizontal]
        tables = np.concatenate([i for i, _ in vertical] + [s for _, s in vertical] + columns + shares)
        record = np.zeros(RECORD.itemsize + 4 * len(tables), np.uint8)  # the tables live behind the record
        record[RECORD.itemsize :].view(np.int32)[:] = tables
        r = record[: RECORD.itemsize].view(RECORD)[0]
        r["x"], r["y"], r["n"], r["h"], r["oh"] = address_of(x), address_of(y), n, h, oh
        r["inner"], r["outer"], r["low"], r["high"] = w * channels, ow * channels, self.low, self.high
        self.workspace.reserve(8 * ow * channels)
        r["workspace"], r["tables"] = address_of(self.workspace.cell), address_of(record) + RECORD.itemsize
        return resize, record
