"""Reads FlatBuffers without trusting a single offset.

A FlatBuffer is a file of tables that point at each other by relative offsets. The generated readers of
the ``flatbuffers`` package follow them wherever they lead; here every access is checked against the
end of the file, and the sum of all that is read is bounded, so that vectors which overlap (a small
file can claim to hold terabytes that way) are found out too.
Format: https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel

BUDGET_BASE, BUDGET_RATIO = 1 << 16, 8
"""All vectors together may be 64 KiB and 8 times the file; tensors that share a buffer are honest."""


class Buffer:
    """The bytes of a file, and how much of them has been read."""

    def __init__(self, data: bytes, where: str | Path) -> None:
        self.data, self.where = data, str(where)
        self._left = BUDGET_BASE + BUDGET_RATIO * len(data)

    def damaged(self, reason: str) -> BadModel:
        """Return the error for a broken file."""
        return BadModel(self.where, f"is damaged: {reason}", "get the file again")

    def integer(self, at: int, size: int, signed: bool) -> int:
        """Return a little-endian integer."""
        if not 0 <= at <= len(self.data) - size:
            raise self.damaged(f"offset {at:,} lies outside the file of {len(self.data):,} B")
        return int.from_bytes(self.data[at : at + size], "little", signed=signed)

    def follow(self, at: int) -> int:
        """Return the position that the offset stored at ``at`` points to."""
        return at + self.integer(at, 4, signed=False)

    def vector(self, at: int, item_bytes: int) -> tuple[int, int]:
        """Return where a vector's items start and how many there are."""
        count = self.integer(at, 4, signed=False)
        size = count * item_bytes
        if size > len(self.data) - at - 4:
            raise self.damaged(f"a vector of {count:,} items at {at:,} reaches beyond the end")
        self._left -= size
        if self._left < 0:
            raise self.damaged("its tables overlap: they claim more bytes than the file has")
        return at + 4, count

    def root(self, identifier: bytes) -> FlatTable:
        """Return the root table of a file with this identifier.

        Raises:
            BadModel: if the file is too short or of another kind.
        """
        if len(self.data) < 8 or self.data[4:8] != identifier:
            raise BadModel(self.where, f"has no {identifier.decode()} identifier", "it is no such file")
        return FlatTable(self, self.follow(0))


class FlatTable:
    """One table; fields are numbered as in the schema."""

    __slots__ = ("_at", "_buffer", "_vtable", "_vtable_size")

    def __init__(self, buffer: Buffer, at: int) -> None:
        self._buffer, self._at = buffer, at
        self._vtable = at - buffer.integer(at, 4, signed=True)
        self._vtable_size = buffer.integer(self._vtable, 2, signed=False)

    def place(self, number: int) -> int | None:
        """Return where a field is in the file; None if it is absent."""
        slot = 4 + 2 * number
        if slot + 2 > self._vtable_size:
            return None
        offset = self._buffer.integer(self._vtable + slot, 2, signed=False)
        return self._at + offset if offset else None

    def integer(self, number: int, size: int, default: int = 0, *, signed: bool = True) -> int:
        """Return an integer field of ``size`` bytes."""
        at = self.place(number)
        return default if at is None else self._buffer.integer(at, size, signed)

    def boolean(self, number: int) -> bool:
        """Return a boolean field; absent means False."""
        return self.integer(number, 1, signed=False) != 0

    def real(self, number: int, default: float = 0.0) -> float:
        """Return a float32 field."""
        at = self.place(number)
        if at is None:
            return default
        raw = self._buffer.integer(at, 4, signed=False)
        value: float = struct.unpack("<f", raw.to_bytes(4, "little"))[0]
        return value

    def has(self, number: int) -> bool:
        """Return True if the field is there."""
        return self.place(number) is not None

    def text(self, number: int, limit: int = 1000) -> str:
        """Return a text field, cut off at ``limit`` bytes; absent means empty."""
        at = self.place(number)
        if at is None:
            return ""
        start, count = self._buffer.vector(self._buffer.follow(at), 1)
        return self._buffer.data[start : start + min(count, limit)].decode("utf-8", "replace")

    def array(self, number: int, dtype: str) -> NDArray[Any]:
        """Return a vector of numbers as a read-only view of the file; absent means empty."""
        at = self.place(number)
        kind = np.dtype(dtype).newbyteorder("<")
        if at is None:
            return np.empty(0, kind)
        start, count = self._buffer.vector(self._buffer.follow(at), kind.itemsize)
        return np.frombuffer(self._buffer.data, kind, count, start)

    def table(self, number: int) -> FlatTable | None:
        """Return a table field, or None."""
        at = self.place(number)
        return None if at is None else FlatTable(self._buffer, self._buffer.follow(at))

    def tables(self, number: int, limit: int) -> list[FlatTable]:
        """Return a vector of tables; more than ``limit`` are refused."""
        at = self.place(number)
        if at is None:
            return []
        start, count = self._buffer.vector(self._buffer.follow(at), 4)
        if count > limit:
            raise self._buffer.damaged(f"a vector claims {count:,} tables, more than {limit:,}")
        return [FlatTable(self._buffer, self._buffer.follow(start + 4 * i)) for i in range(count)]
