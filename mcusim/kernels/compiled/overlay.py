"""Weights of the selected channels laid over weights in flash: what a forward kernel then sees whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.graph import Op
from mcusim.kernels.arrays import Tensors
from mcusim.kernels.columns import strides
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.prepared import Prepared, address_of, array_at, check, check_shape, record_at

STRIDES = ("depth", "group", "channel", "taps", "tap", "outputs", "output")
RECORD = np.dtype(
    [(name, np.int64) for name in ("weight", "block", "channels", "selected", "elements", "bytes", *STRIDES)]
)


@compiled
def overlay(address):  # type: ignore[no-untyped-def]
    """Copy blocks [selected, taps, outputs] to where their channels lie in the whole weight."""
    a = record_at(address, RECORD)
    count, at = a.selected * a.taps * a.outputs, 0
    channels = array_at(a.channels, a.selected, np.int32)
    small, few = array_at(a.weight, a.elements, np.int8), array_at(a.block, count, np.int8)
    wide, many = array_at(a.weight, a.elements, np.int32), array_at(a.block, count, np.int32)
    for s in range(a.selected):
        base = channels[s] // a.depth * a.group + channels[s] % a.depth * a.channel
        for tap in range(a.taps):
            for c in range(a.outputs):
                place = base + tap * a.tap + c * a.output
                if a.bytes == 1:
                    small[place] = few[at]
                else:
                    wide[place] = many[at]
                at += 1


class Overlay(Prepared):
    """Kernel ``(weight, channels, block) -> None`` for weights of 1 or 4 bytes.

    ``channels`` int32 (n,) were checked when they were selected; ``block`` is what ``columns.gather`` gives
    of them, and ``columns.scatter`` the slow twin.

    Raises:
        BadArgument: if an array does not fit.
    """

    def __init__(self, op: Op, tensors: Tensors) -> None:
        super().__init__()
        self._weight, self.name = tensors[op.inputs[1]], f"weight of op {op.name!r}"
        self._strides = strides(op, tensors)

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        weight, channels, block = buffers
        if weight.itemsize not in (1, 4):
            raise BadArgument(self.name, f"is {weight.dtype}", "give int8 or float32")
        check(f"channels of {self.name}", channels, "int32")
        selected = (channels.size, *self._weight.shape[1:-1], self._strides.outputs)
        for array, shape in ((weight, self._weight.shape), (block, selected)):
            check(self.name, array, self._weight.dtype)
            check_shape(self.name, array, shape)
        record = np.zeros(1, RECORD)
        addresses = map(address_of, (weight, block, channels))
        record[0] = (
            *addresses, channels.size, weight.size, weight.itemsize,
            *(getattr(self._strides, name) for name in STRIDES),
        )  # fmt: skip
        return overlay, record
