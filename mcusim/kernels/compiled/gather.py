"""Selected pixels and channels of a feature map, moved together: what is saved for a weight gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.kernels.arrays import Array
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.prepared import (
    Prepared,
    address_of,
    array_at,
    check,
    check_shape,
    exist,
    record_at,
)

RECORD = np.dtype(
    [
        (name, np.int64)
        for name in ("x", "saved", "positions", "channels", "pixels", "width", "kept", "selected")
    ]
)


@compiled
def gather(address):  # type: ignore[no-untyped-def]
    """Copy element by element, ascending; False if a pixel or channel does not exist."""
    a = record_at(address, RECORD)
    if not exist(a.positions, a.kept, a.pixels) or not exist(a.channels, a.selected, a.width):
        return False
    x, saved = array_at(a.x, a.pixels * a.width, np.int8), array_at(a.saved, a.kept * a.selected, np.int8)
    positions, channels = array_at(a.positions, a.kept, np.int32), array_at(a.channels, a.selected, np.int32)
    for k in range(a.kept):
        for s in range(a.selected):
            saved[k * a.selected + s] = x[positions[k] * a.width + channels[s]]
    return True


TAKE = np.dtype(
    [(name, np.int64) for name in ("x", "saved", "channels", "pixels", "width", "selected", "bytes")]
)


@compiled
def take(address):  # type: ignore[no-untyped-def]
    """Copy some channels of all pixels, element by element, ascending."""
    a = record_at(address, TAKE)
    pixels, width, selected, channels = (
        a.pixels,
        a.width,
        a.selected,
        array_at(a.channels, a.selected, np.int32),
    )
    if a.bytes == 1:
        x, saved = array_at(a.x, pixels * width, np.int8), array_at(a.saved, pixels * selected, np.int8)
        for p in range(pixels):
            for s in range(selected):
                saved[p * selected + s] = x[p * width + channels[s]]
        return
    if a.bytes == 2:
        short, few = array_at(a.x, pixels * width, np.int16), array_at(a.saved, pixels * selected, np.int16)
        for p in range(pixels):
            for s in range(selected):
                few[p * selected + s] = short[p * width + channels[s]]
        return
    wide, kept = array_at(a.x, pixels * width, np.int32), array_at(a.saved, pixels * selected, np.int32)
    for p in range(pixels):
        for s in range(selected):
            kept[p * selected + s] = wide[p * width + channels[s]]


class Take(Prepared):
    """Kernel ``(x, channels, saved) -> None``: some channels of [..., C], 1, 2 or 4 bytes an element.

    ``channels`` int32 (n,) ascend and were checked when they were selected; ``saved`` is [..., n] and may
    begin where ``x`` begins: nothing moves backwards.

    Raises:
        BadArgument: if an array does not fit.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = f"features of op {name!r}"

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        x, channels, saved = buffers
        check(self.name, channels, "int32")
        if x.itemsize not in (1, 2, 4):
            raise BadArgument(self.name, f"are {x.dtype}", "give int8, int16 or float32")
        for array in (x, saved):
            check(self.name, array, x.dtype.name)
        check_shape(self.name, saved, (*x.shape[:-1], channels.size))
        record = np.zeros(1, TAKE)
        addresses = map(address_of, (x, saved, channels))
        record[0] = (*addresses, x.size // x.shape[-1], x.shape[-1], channels.size, x.itemsize)
        return take, record


class Gather(Prepared):
    """Kernel ``(x, positions, channels, saved) -> None`` for int8 at batch 1.

    ``x`` is [1, H, W, C], ``positions`` int32 (kept,) are pixels row * W + column and ``channels`` int32 (n,)
    channels of it, both ascending, and ``saved`` is [1, kept, n]. It may begin where ``x`` begins: what is
    kept never moves backwards.

    Raises:
        BadArgument: if an array does not fit, or a pixel or channel does not exist.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = f"features of op {name!r}"

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        x, positions, channels, saved = buffers
        for array, dtype in ((x, "int8"), (positions, "int32"), (channels, "int32"), (saved, "int8")):
            check(self.name, array, dtype)
        check_shape(self.name, saved, (1, positions.size, channels.size))
        if x.ndim != 4 or len(x) != 1:
            raise BadArgument(self.name, f"have shape {x.shape}", "give [1, H, W, C]")
        record = np.zeros(1, RECORD)
        record[0] = (
            *map(address_of, (x, saved, positions, channels)),
            x.shape[1] * x.shape[2], x.shape[3], positions.size, channels.size,
        )  # fmt: skip
        return gather, record

    def __call__(
        self, x: Array, positions: NDArray[np.int32], channels: NDArray[np.int32], saved: Array
    ) -> None:
        """Move what is kept of ``x`` to ``saved``."""
        if not self.bound(x, positions, channels, saved)():
            raise BadArgument(self.name, "are asked for at a pixel or channel that does not exist")
