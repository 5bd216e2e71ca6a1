"""Bump allocation: a pointer that only goes up."""

from __future__ import annotations

from mcusim.core import Interval
from mcusim.memory.allocators.geometry import Geometry, check_capacity
from mcusim.memory.allocators.heap import Heap, Piece
from mcusim.memory.allocators.registry import ALLOCATORS

GEOMETRY = Geometry(header_bytes=0, align=8, min_block=8)
"""No headers: nothing is ever looked up."""


class Bump:
    """Blocks follow each other; the pointer returns to the start when the last one is freed."""

    def __init__(self, capacity: int, geometry: Geometry) -> None:
        check_capacity(capacity)
        self._geometry = geometry
        self._first, self._last = geometry.span(capacity)
        self.control_bytes = capacity - (self._last - self._first)
        self._next = self._first
        self._count = 0

    def take(self, size: int, align: int) -> Piece | None:
        """See :class:`FreeSpace`."""
        offset = self._geometry.header_bytes + self._next
        offset = -(-offset // align) * align
        end = offset - self._geometry.header_bytes + self._geometry.gross(size)
        if end > self._last:
            return None
        start, self._next = self._next, end
        self._count += 1
        return Piece(start, end, offset)

    def give(self, piece: Piece) -> None:
        """See :class:`FreeSpace`."""
        self._count -= 1
        if not self._count:
            self._next = self._first

    def trim(self, piece: Piece, size: int) -> Piece:
        """See :class:`FreeSpace`. The pointer never goes back."""
        return piece

    def holes(self) -> list[Interval]:
        """See :class:`FreeSpace`."""
        return [Interval(self._next, self._last)] if self._next < self._last else []

    def needed(self, size: int, align: int) -> int:
        """See :class:`FreeSpace`."""
        offset = -(-(self._next + self._geometry.header_bytes) // align) * align
        return offset - self._geometry.header_bytes + self._geometry.gross(size)


@ALLOCATORS.register("bump")
def bump(capacity: int, /, *, geometry: Geometry = GEOMETRY) -> Heap:
    """Return a heap whose bytes are reused only after all blocks were freed.

    Raises:
        BadProblem: if the capacity is no sensible number of bytes.
    """
    return Heap("bump", capacity, Bump(capacity, geometry))
