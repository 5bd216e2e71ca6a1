"""Holes kept in address order: what first fit and best fit share."""

from __future__ import annotations

from bisect import bisect_left

from mcusim.core import Interval
from mcusim.memory.allocators.geometry import Geometry, check_capacity
from mcusim.memory.allocators.heap import Piece


class HoleList:
    """A policy over a sorted list of holes; neighbours merge as soon as a block is freed.

    A block is cut from the low end of a hole. A rest too short for a block stays with it.

    Args:
        capacity: bytes of the heap.
        geometry: headers and rounding.
        best: take the smallest hole that fits, the lowest among equals, instead of the lowest.
    """

    def __init__(self, capacity: int, geometry: Geometry, *, best: bool) -> None:
        check_capacity(capacity)
        self._geometry, self._best = geometry, best
        first, last = geometry.span(capacity)
        self.control_bytes = capacity - (last - first)
        self._starts = [first] if last > first else []
        self._ends = [last] if last > first else []
        self._last = last

    def take(self, size: int, align: int) -> Piece | None:
        """See :class:`FreeSpace`."""
        gross = self._geometry.gross(size)
        chosen, chosen_length = -1, 0
        for index, (start, end) in enumerate(zip(self._starts, self._ends, strict=True)):
            if self._geometry.start_in(start, align) + gross > end:
                continue
            if not self._best:
                chosen = index
                break
            if chosen < 0 or end - start < chosen_length:
                chosen, chosen_length = index, end - start
        if chosen < 0:
            return None
        hole_start, hole_end = self._starts[chosen], self._ends[chosen]
        start = self._geometry.start_in(hole_start, align)
        end = start + gross
        if hole_end - end < self._geometry.min_block:
            end = hole_end
        left = [(a, b) for a, b in ((hole_start, start), (end, hole_end)) if a < b]
        self._starts[chosen : chosen + 1] = [a for a, _ in left]
        self._ends[chosen : chosen + 1] = [b for _, b in left]
        return Piece(start, end, start + self._geometry.header_bytes)

    def give(self, piece: Piece) -> None:
        """See :class:`FreeSpace`."""
        self._open(piece.start, piece.end)

    def trim(self, piece: Piece, size: int) -> Piece:
        """See :class:`FreeSpace`."""
        end = min(piece.end, piece.start + self._geometry.gross(size))
        index = bisect_left(self._starts, piece.end)
        touches = index < len(self._starts) and self._starts[index] == piece.end
        if end == piece.end or (piece.end - end < self._geometry.min_block and not touches):
            return piece
        self._open(end, piece.end)
        return Piece(piece.start, end, piece.offset)

    def holes(self) -> list[Interval]:
        """See :class:`FreeSpace`."""
        return [Interval(a, b) for a, b in zip(self._starts, self._ends, strict=True)]

    def needed(self, size: int, align: int) -> int:
        """See :class:`FreeSpace`."""
        tail = self._starts[-1] if self._ends and self._ends[-1] == self._last else self._last
        return self._geometry.start_in(tail, align) + self._geometry.gross(size)

    def _open(self, start: int, end: int) -> None:
        index = bisect_left(self._starts, start)
        if index and self._ends[index - 1] == start:
            index -= 1
            start = self._starts.pop(index)
            del self._ends[index]
        if index < len(self._starts) and self._starts[index] == end:
            end = self._ends.pop(index)
            del self._starts[index]
        self._starts.insert(index, start)
        self._ends.insert(index, end)
