"""Ops on two int8 elements whose results are looked up in a table of 65,536."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Op
from mcusim.kernels.arrays import Tensors
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.elementwise import Broadcasting
from mcusim.kernels.compiled.prepared import address_of, array_at, record_at
from mcusim.kernels.compiled.requant import store_bits
from mcusim.kernels.reference.pairs import values
from mcusim.kernels.scales import clamp_of

FIELDS = ("a", "b", "y", "mask", "rows", "count", "step_a", "step_b", "table", "inside")
RECORD = np.dtype([(name, np.int64) for name in FIELDS])


@compiled
def look_up_pair(address):  # type: ignore[no-untyped-def]
    """Map every two int8 through a table; the mask first, since the output may be an input."""
    r = record_at(address, RECORD)
    table, inside = array_at(r.table, 65536, np.int8), array_at(r.inside, 65536, np.uint8)
    for row in range(r.rows):
        begin = row * r.count
        a = array_at(r.a + row * r.step_a, r.count, np.uint8)
        b = array_at(r.b + row * r.step_b, r.count, np.uint8)
        y = array_at(r.y + begin, r.count, np.int8)
        if r.mask != 0:
            for first in range(0, r.count, 8):
                bits, few = np.int64(0), min(r.count - first, 8)
                for i in range(few):
                    bits |= np.int64(inside[np.int64(a[first + i]) * 256 + b[first + i]]) << i
                store_bits(r.mask, begin + first, bits, few)
        for i in range(r.count):
            y[i] = table[np.int64(a[i]) * 256 + b[i]]


class Pairs(Broadcasting):
    """DIV, MINIMUM, MAXIMUM, SQUARED_DIFFERENCE and PRELU; see ``forward.forward``. May work in place."""

    def __init__(self, op: Op, tensors: Tensors, arithmetic: Arithmetic) -> None:
        super().__init__(op, tensors)
        stored = np.arange(256).astype(np.uint8).view(np.int8).astype(np.int64)
        pre = values(op, tensors, arithmetic)(*np.broadcast_arrays(stored[:, None], stored[None, :]))
        low, high = clamp_of(op)
        self._table = np.ascontiguousarray(np.clip(pre, low, high).astype(np.int8))
        self._inside = np.ascontiguousarray(((pre >= low) & (pre <= high)).astype(np.uint8))
        self._constants = np.zeros(1, RECORD)
        self._constants[0]["table"] = address_of(self._table)
        self._constants[0]["inside"] = address_of(self._inside)

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        return look_up_pair, self._of_two(*buffers)
