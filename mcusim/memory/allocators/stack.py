"""Stack allocation: the last block allocated is the first whose bytes come back."""

from __future__ import annotations

from mcusim.core import Interval
from mcusim.memory.allocators.geometry import Geometry, check_capacity
from mcusim.memory.allocators.heap import Heap, Piece
from mcusim.memory.allocators.registry import ALLOCATORS

GEOMETRY = Geometry(header_bytes=8, align=8, min_block=8)
"""A header with the start of the block below and a mark whether this one was freed."""


class Stack:
    """Blocks lie in the order of their allocation.

    A block freed under live ones keeps its bytes, as overhead, until all above it are freed too.
    """

    def __init__(self, capacity: int, geometry: Geometry) -> None:
        check_capacity(capacity)
        self._geometry = geometry
        self._first, self._last = geometry.span(capacity)
        self.control_bytes = capacity - (self._last - self._first)
        self._pieces: list[Piece] = []
        self._freed: set[int] = set()

    @property
    def _next(self) -> int:
        return self._pieces[-1].end if self._pieces else self._first

    def take(self, size: int, align: int) -> Piece | None:
        """See :class:`FreeSpace`."""
        piece = self._piece(size, align)
        if piece.end > self._last:
            return None
        self._pieces.append(piece)
        return piece

    def give(self, piece: Piece) -> None:
        """See :class:`FreeSpace`."""
        self._freed.add(piece.start)
        while self._pieces and self._pieces[-1].start in self._freed:
            self._freed.remove(self._pieces.pop().start)

    def trim(self, piece: Piece, size: int) -> Piece:
        """See :class:`FreeSpace`. Only the topmost block can be cut."""
        end = piece.offset - self._geometry.header_bytes + self._geometry.gross(size)
        if self._pieces[-1].start != piece.start or end >= piece.end:
            return piece
        self._pieces[-1] = Piece(piece.start, end, piece.offset)
        return self._pieces[-1]

    def holes(self) -> list[Interval]:
        """See :class:`FreeSpace`."""
        return [Interval(self._next, self._last)] if self._next < self._last else []

    def needed(self, size: int, align: int) -> int:
        """See :class:`FreeSpace`."""
        return self._piece(size, align).end

    def _piece(self, size: int, align: int) -> Piece:
        header = self._geometry.header_bytes
        offset = -(-(self._next + header) // align) * align
        return Piece(self._next, offset - header + self._geometry.gross(size), offset)


@ALLOCATORS.register("stack")
def stack(capacity: int, /, *, geometry: Geometry = GEOMETRY) -> Heap:
    """Return a heap that works without fragmentation where blocks are freed last in, first out.

    Raises:
        BadProblem: if the capacity is no sensible number of bytes.
    """
    return Heap("stack", capacity, Stack(capacity, geometry))
