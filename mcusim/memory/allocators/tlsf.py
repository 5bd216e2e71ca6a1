"""Two-level segregated fit (Masmano, Ripoll, Crespo, Real: ECRTS 2004)."""

from __future__ import annotations

from mcusim.core import Interval
from mcusim.memory.allocators.geometry import Geometry, check_capacity
from mcusim.memory.allocators.heap import Heap, Piece
from mcusim.memory.allocators.registry import ALLOCATORS

GEOMETRY = Geometry(header_bytes=4, align=4, min_block=16)
"""A common 32-bit implementation: a size word before each block; a free one holds three pointers."""
SECOND_LEVEL_LOG2 = 5
"""Each power of two is divided into 32 classes."""


def control_bytes(capacity: int, align: int) -> int:
    """Return the bytes of the index: a null block, the bitmaps, and one pointer a class, 32-bit."""
    rows = max(1, capacity.bit_length() - small_log2(align) + 1)
    return 16 + 4 + 4 * rows + (4 << SECOND_LEVEL_LOG2) * rows


def small_log2(align: int) -> int:
    """Return the logarithm of the length below which classes are ``align`` bytes apart."""
    return (align << SECOND_LEVEL_LOG2).bit_length() - 1


def class_of(length: int, align: int) -> int:
    """Return the class of a free block: ``row * 32 + column``; larger blocks have larger classes."""
    log2 = length.bit_length() - 1
    small = small_log2(align)
    if log2 < small:
        return length // align
    row = log2 - small + 1
    column = (length >> (log2 - SECOND_LEVEL_LOG2)) - (1 << SECOND_LEVEL_LOG2)
    return (row << SECOND_LEVEL_LOG2) + column


def search_length(length: int, align: int) -> int:
    """Return ``length`` rounded up so that every block of its class or a larger one is long enough."""
    log2 = length.bit_length() - 1
    if log2 < small_log2(align):
        return length
    step = 1 << (log2 - SECOND_LEVEL_LOG2)
    return -(-length // step) * step


class Tlsf:
    """Free blocks in lists by class, the last freed first; alloc and free look at few words each."""

    def __init__(self, capacity: int, geometry: Geometry) -> None:
        check_capacity(capacity)
        self._geometry, self._capacity = geometry, capacity
        self._first, self._last = geometry.span(capacity, control_bytes(capacity, geometry.align))
        self.control_bytes = capacity - (self._last - self._first)
        self._lists: dict[int, list[int]] = {}
        self._end_of: dict[int, int] = {}
        self._start_of: dict[int, int] = {}
        if self._last > self._first:
            self._insert(self._first, self._last)

    def take(self, size: int, align: int) -> Piece | None:
        """See :class:`FreeSpace`."""
        geometry = self._geometry
        gross = geometry.gross(size)
        wanted = class_of(search_length(gross + self._slack(align), geometry.align), geometry.align)
        found = min((k for k in self._lists if k >= wanted), default=None)
        if found is None:
            return None
        hole_start = self._lists[found][-1]
        hole_end = self._end_of[hole_start]
        self._remove(hole_start)
        start = geometry.start_in(hole_start, align)
        end = start + gross
        if hole_end - end < geometry.min_block:
            end = hole_end
        if hole_start < start:
            self._insert(hole_start, start)
        if end < hole_end:
            self._insert(end, hole_end)
        return Piece(start, end, start + geometry.header_bytes)

    def give(self, piece: Piece) -> None:
        """See :class:`FreeSpace`."""
        self._merge(piece.start, piece.end)

    def trim(self, piece: Piece, size: int) -> Piece:
        """See :class:`FreeSpace`."""
        end = piece.start + self._geometry.gross(size)
        if piece.end - end < self._geometry.min_block and (end >= piece.end or piece.end not in self._end_of):
            return piece
        self._merge(end, piece.end)
        return Piece(piece.start, end, piece.offset)

    def holes(self) -> list[Interval]:
        """See :class:`FreeSpace`."""
        return sorted(Interval(start, end) for start, end in self._end_of.items())

    def needed(self, size: int, align: int) -> int:
        """See :class:`FreeSpace`. The index of a heap beyond a power of two has one more row."""
        tail = self._start_of.get(self._last, self._last)
        unit = self._geometry.align
        length = search_length(self._geometry.gross(size) + self._slack(align), unit)
        used = tail + length - control_bytes(self._capacity, unit)
        needed = tail + length
        while needed < used + control_bytes(needed, unit):
            needed = used + control_bytes(needed, unit)
        return needed

    def _slack(self, align: int) -> int:
        """Return how much more room makes sure that an aligned block fits anywhere."""
        return align + self._geometry.min_block if align > self._geometry.align else 0

    def _merge(self, start: int, end: int) -> None:
        before = self._start_of.get(start)
        if before is not None:
            self._remove(before)
            start = before
        after = self._end_of.get(end)
        if after is not None:
            self._remove(end)
            end = after
        self._insert(start, end)

    def _insert(self, start: int, end: int) -> None:
        self._lists.setdefault(class_of(end - start, self._geometry.align), []).append(start)
        self._end_of[start], self._start_of[end] = end, start

    def _remove(self, start: int) -> None:
        end = self._end_of.pop(start)
        del self._start_of[end]
        key = class_of(end - start, self._geometry.align)
        self._lists[key].remove(start)
        if not self._lists[key]:
            del self._lists[key]


@ALLOCATORS.register("tlsf")
def tlsf(capacity: int, /, *, geometry: Geometry = GEOMETRY) -> Heap:
    """Return a heap with constant-time alloc and free and its index counted.

    Raises:
        BadProblem: if the capacity is no sensible number of bytes.
    """
    return Heap("tlsf", capacity, Tlsf(capacity, geometry))
