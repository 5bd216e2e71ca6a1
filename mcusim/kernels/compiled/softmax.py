"""SOFTMAX of int8 in TFLite's fixed point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Op
from mcusim.kernels.arrays import Tensors
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.prepared import (
    ForwardKernel,
    address_of,
    array_at,
    check,
    check_mask,
    check_shape,
    record_at,
)
from mcusim.kernels.compiled.requant import store_bits
from mcusim.kernels.reference.fixed_point import ONE, RATIO_32_17, RATIO_48_17, SUM_BITS
from mcusim.kernels.reference.rescale import INT32, divide_by_power_of_two
from mcusim.kernels.reference.softmax import exponentials

RECORD = np.dtype([(name, np.int64) for name in ("x", "y", "mask", "table", "terms", "rows", "classes")])


@inner
def _high(a, b):  # type: ignore[no-untyped-def]
    """Multiply fractions of 31 bits; see ``doubling_high_mul``."""
    return (a * b + (1 << 30)) >> 31


@inner
def _left(x, bits):  # type: ignore[no-untyped-def]
    """Multiply by a power of two, saturating in 32 bits."""
    return min(max(x << bits, -INT32), INT32 - 1)


@inner
def _reciprocal(total):  # type: ignore[no-untyped-def]
    """Return (r, bits); see ``fixed_point.reciprocal``."""
    headroom = 32
    while total >> (32 - headroom):
        headroom -= 1
    half = ((total << headroom) - INT32 + ONE + 1) >> 1
    estimate = RATIO_48_17 + _high(half, RATIO_32_17)
    for _ in range(3):
        estimate += _left(_high(estimate, (1 << 29) - _high(half, estimate)), 2)
    return _left(estimate, 1), SUM_BITS - headroom


@compiled
def softmax(address):  # type: ignore[no-untyped-def]
    """Run the op that the record at ``address`` describes; see the slow twin."""
    r = record_at(address, RECORD)
    table, terms = array_at(r.table, 256, np.int64), array_at(r.terms, 256, np.int64)
    count = r.classes
    for row in range(r.rows):
        x, y = array_at(r.x + row * count, count, np.int8), array_at(r.y + row * count, count, np.int8)
        top = np.int64(-128)
        for value in x:
            top = max(top, np.int64(value))
        total = np.int64(0)
        for value in x:
            total += terms[top - value]
        scale, bits = _reciprocal(total)
        right = bits + 31 - 8
        rest = (np.int64(1) << right) - 1
        for i in range(count):
            e = table[top - x[i]]
            p = np.int64(-128)
            if e >= 0:
                high = _high(e, scale)
                p += (high >> right) + ((high & rest) > (rest >> 1) + (high < 0))
            if r.mask != 0:
                store_bits(r.mask, row * count + i, np.int64(p <= 127), 1)
            y[i] = np.int8(p if p < 127 else 127)


class FixedSoftmax(ForwardKernel):
    """SOFTMAX over the last dimension of int8, profile TFLITE; see ``forward.forward``."""

    def __init__(self, op: Op, tensors: Tensors) -> None:
        super().__init__()
        self.name = f"op {op.name!r}"
        self._table = exponentials(op, tensors).astype(np.int64)
        rounded = divide_by_power_of_two(self._table, SUM_BITS)
        self._terms = np.where(self._table >= 0, rounded, 0).astype(np.int64)

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        y, mask, x = buffers
        for what, array in (("input", x), ("output", y)):
            check(f"{what} of {self.name}", array, "int8")
        check_shape(f"output of {self.name}", y, x.shape)
        if mask is not None:
            check_mask(self.name, mask, y)
        record = np.zeros(1, RECORD)
        classes = x.shape[-1]
        addresses = map(address_of, (x, y, mask, self._table, self._terms))
        record[0] = (*addresses, x.size // max(classes, 1), classes)
        return softmax, record
