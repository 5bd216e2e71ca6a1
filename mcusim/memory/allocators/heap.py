"""A heap at run time: one interface in front of every allocation policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from mcusim.core import BadProblem, Interval, LiveBlock, OutOfSram, Role
from mcusim.memory.block import MAX_BYTES


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes ``start <= i < end`` of the heap that one block takes; its payload begins at ``offset``.

    Header, rounding and padding lie inside.
    """

    start: int
    end: int
    offset: int


class FreeSpace(Protocol):
    """Where blocks go and how holes come together again.

    Attributes:
        control_bytes: bytes of the heap that never serve a block.
    """

    control_bytes: int

    def take(self, size: int, align: int) -> Piece | None:
        """Return the piece for ``size`` bytes, or ``None`` with nothing changed."""
        ...  # pragma: no cover

    def give(self, piece: Piece) -> None:
        """Take back a piece."""
        ...  # pragma: no cover

    def trim(self, piece: Piece, size: int) -> Piece:
        """Keep the first ``size`` payload bytes of a piece; return what it still takes."""
        ...  # pragma: no cover

    def holes(self) -> list[Interval]:
        """Return the runs of bytes that could serve a block now, by address."""
        ...  # pragma: no cover

    def needed(self, size: int, align: int) -> int:
        """Return the shortest capacity with which the last hole would serve ``size`` bytes now."""
        ...  # pragma: no cover


@dataclass(frozen=True, slots=True)
class Allocation:
    """One live block of a heap."""

    name: str
    role: Role
    bytes: int
    piece: Piece


class Heap:
    """Serves allocs and frees under a policy and keeps the account.

    Attributes:
        name: of the allocator.
        capacity: bytes, control structures included.
        live_bytes: bytes asked for by the live blocks.
        overhead_bytes: headers, rounding and padding of the live blocks, control structures, and
            bytes that were freed but cannot be used yet (under blocks of a stack).
        top_bytes: highest address in use so far.
        peak_bytes: most bytes needed so far: the highest address, or where blocks are ``scattered`` over the
            heap, whose holes serve others, what they and the control structures took.
    """

    def __init__(self, name: str, capacity: int, policy: FreeSpace, *, scattered: bool = False) -> None:
        self.name, self.capacity, self._policy = name, capacity, policy
        self.live_bytes = 0
        self.top_bytes = 0
        self.peak_bytes = 0
        self._scattered, self._held = scattered, policy.control_bytes
        self._live: dict[int, Allocation] = {}

    def alloc(
        self, size: int, align: int = 1, *, name: str = "", role: Role = Role.ACTIVATION, where: str = ""
    ) -> int:
        """Return the offset of ``size`` new bytes, a multiple of ``align`` and of the heap's alignment.

        ``name``, ``role`` and ``where`` only serve reports.

        Raises:
            BadProblem: if the size is negative or the alignment no power of two.
            OutOfSram: if no hole is large enough; the heap is as it was.
        """
        if not 0 <= size < MAX_BYTES:
            raise BadProblem(f"alloc of {size} bytes", "is not a size", "ask for 0 bytes or more")
        if align < 1 or align & (align - 1) or align >= MAX_BYTES:
            raise BadProblem(f"alloc with alignment {align}", "is no power of two")
        piece = self._policy.take(size, align)
        if piece is None:
            raise OutOfSram(
                capacity_bytes=self.capacity,
                needed_bytes=self._policy.needed(size, align),
                largest_hole_bytes=self.largest_hole_bytes,
                live=[LiveBlock(a.name, str(a.role), a.bytes) for a in self._live.values()],
                where=where or f"alloc of {size:,} B" + (f" for {name}" if name else ""),
            )
        self._live[piece.offset] = Allocation(name, role, size, piece)
        self.live_bytes += size
        self.top_bytes = max(self.top_bytes, piece.end)
        self._held += piece.end - piece.start
        self.peak_bytes = max(self.peak_bytes, self._held) if self._scattered else self.top_bytes
        return piece.offset

    def free(self, offset: int) -> Allocation:
        """Give back the block at ``offset`` and return what it was.

        Raises:
            BadProblem: if no live block begins there, as after a double free.
        """
        allocation = self._live.pop(offset, None)
        if allocation is None:
            raise BadProblem(f"free of {offset}", "hits no live block", "free each block once, at its offset")
        self.live_bytes -= allocation.bytes
        self._held -= allocation.piece.end - allocation.piece.start
        self._policy.give(allocation.piece)
        return allocation

    def shrink(self, offset: int, size: int) -> int:
        """Keep the first ``size`` bytes of the block at ``offset``; return the bytes that became free.

        Policies that cannot cut a block free nothing; the rest of the block then is overhead.

        Raises:
            BadProblem: if no live block begins there, or it would grow.
        """
        old = self._live.get(offset)
        if old is None or not 0 <= size <= old.bytes:
            reason = "hits no live block" if old is None else f"would grow it from {old.bytes} bytes"
            raise BadProblem(f"shrink of {offset} to {size} bytes", reason)
        piece = self._policy.trim(old.piece, size)
        self._live[offset] = replace(old, bytes=size, piece=piece)
        self.live_bytes -= old.bytes - size
        self._held -= old.piece.end - piece.end
        return old.piece.end - piece.end

    @property
    def live(self) -> tuple[Allocation, ...]:
        """The live blocks, oldest first."""
        return tuple(self._live.values())

    @property
    def holes(self) -> list[Interval]:
        """The runs of bytes that could serve a block now, by address."""
        return self._policy.holes()

    @property
    def control_bytes(self) -> int:
        """Bytes of the heap that never serve a block."""
        return self._policy.control_bytes

    @property
    def free_bytes(self) -> int:
        """Bytes in holes."""
        return sum(len(hole) for hole in self.holes)

    @property
    def overhead_bytes(self) -> int:
        """What is neither live nor free."""
        return self.capacity - self.live_bytes - self.free_bytes

    @property
    def largest_hole_bytes(self) -> int:
        """Length of the largest hole; a block in it still needs its header."""
        return max((len(hole) for hole in self.holes), default=0)

    @property
    def fragmentation(self) -> float:
        """The part of the free bytes that lies outside the largest hole: 0 is none."""
        free = self.free_bytes
        return 1 - self.largest_hole_bytes / free if free else 0.0
