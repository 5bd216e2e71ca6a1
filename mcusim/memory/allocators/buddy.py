"""The binary buddy system (Knowlton 1965)."""

from __future__ import annotations

from bisect import insort

from mcusim.core import BadProblem, Interval
from mcusim.memory.allocators.geometry import check_capacity
from mcusim.memory.allocators.heap import Heap, Piece
from mcusim.memory.allocators.registry import ALLOCATORS

MIN_BLOCK = 64


class Buddy:
    """Blocks are powers of two at multiples of their own length; buddies merge when both are free.

    No headers: a map at the end of the heap holds one byte a smallest block. A block comes from the
    smallest order that has one, the lowest address first.
    """

    def __init__(self, capacity: int, min_block: int) -> None:
        check_capacity(capacity)
        if min_block < 1 or min_block & (min_block - 1):
            raise BadProblem("buddy", f"has a smallest block of {min_block} bytes", "use a power of two")
        self._min_block = min_block
        self._last = capacity // (min_block + 1) * min_block
        self.control_bytes = capacity - self._last
        self._free: list[list[int]] = [[] for _ in range(self._last.bit_length())]
        start = 0
        while start < self._last:
            # The largest block that may begin here: naturally aligned, and inside.
            order = (self._last - start).bit_length() - 1
            if start:
                order = min(order, (start & -start).bit_length() - 1)
            self._free[order].append(start)
            start += 1 << order

    def take(self, size: int, align: int) -> Piece | None:
        """See :class:`FreeSpace`."""
        order = self._order(size, align)
        have = next((k for k in range(order, len(self._free)) if self._free[k]), None)
        if have is None:
            return None
        start = self._free[have].pop(0)
        while have > order:
            have -= 1
            insort(self._free[have], start + (1 << have))
        return Piece(start, start + (1 << order), start)

    def give(self, piece: Piece) -> None:
        """See :class:`FreeSpace`."""
        start, order = piece.start, (piece.end - piece.start).bit_length() - 1
        while order + 1 < len(self._free) and (buddy := start ^ (1 << order)) in self._free[order]:
            self._free[order].remove(buddy)
            start, order = min(start, buddy), order + 1
        insort(self._free[order], start)

    def trim(self, piece: Piece, size: int) -> Piece:
        """See :class:`FreeSpace`. The upper halves that are not needed become free."""
        end = piece.end
        while (half := (end - piece.start) // 2) >= max(size, self._min_block):
            end = piece.start + half
            insort(self._free[half.bit_length() - 1], end)
        return Piece(piece.start, end, piece.offset)

    def holes(self) -> list[Interval]:
        """See :class:`FreeSpace`. Free neighbours that are no buddies are two holes."""
        return sorted(Interval(s, s + (1 << k)) for k, starts in enumerate(self._free) for s in starts)

    def needed(self, size: int, align: int) -> int:
        """See :class:`FreeSpace`."""
        free_from = self._last
        for hole in reversed(self.holes()):
            if hole.end != free_from:
                break
            free_from = hole.start
        length = 1 << self._order(size, align)
        end = -(-free_from // length) * length + length
        return end // self._min_block * (self._min_block + 1)  # with the map

    def _order(self, size: int, align: int) -> int:
        return (max(size, align, self._min_block) - 1).bit_length()


@ALLOCATORS.register("buddy")
def buddy(capacity: int, /, *, min_block: int = MIN_BLOCK) -> Heap:
    """Return a heap of power-of-two blocks, ``min_block`` bytes or more.

    Raises:
        BadProblem: if the capacity or the smallest block makes no sense.
    """
    return Heap("buddy", capacity, Buddy(capacity, min_block), scattered=True)
