"""Follows the blocks of a trace, one alloc, free or shrink after the other, at compiled speed.

The slow twin is :class:`mcusim.memory.Ledger` with a list of live intervals; the tests hold the
two against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mcusim.core.errors import BadTrace, LiveBlock
from mcusim.core.jit import njit
from mcusim.events import EventTable
from mcusim.events.schema import ENUMERATED
from mcusim.traces.live import ALLOC, FREE, SHRINK, YIELD, memory_rows

MAX_BYTES: Final = 1 << 40
"""Largest size or address of a block; keeps all sums within 64 bits."""

LIVE, PEAK, PEAK_ROW, TOP, COUNT, MISFIT = range(6)
"""Places in ``Machine.sums``; ``MISFIT`` is the first row that reaches above the capacity, or -1."""

FAULTS: Final = (
    "",
    "allocates {name!r:.80}, which is live",
    "frees {name!r:.80}, which is not live",
    "shrinks {name!r:.80}, which is not live",
    "gives {name!r:.80} a size or offset that makes no sense: {bytes} bytes at {offset}",
    "frees {name!r:.80} with {bytes} bytes at {offset}, and it has {live} at {place}",
    "shrinks {name!r:.80} to {bytes} bytes, and it has {live}",
    "puts {name!r:.80} on top of another live block: {bytes} bytes at {offset}",
    "yields {name!r:.80} down to {bytes} bytes at {offset}, and it has {live} at {place}",
)


@njit(cache=True, nogil=True)
def _rank(starts: NDArray[np.int64], count: int, offset: int) -> int:
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if starts[middle] < offset:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _follow(
    rows: NDArray[np.int64],
    event: NDArray[np.uint8],
    tensor: NDArray[np.int32],
    role: NDArray[np.uint8],
    size: NDArray[np.int64],
    offset: NDArray[np.int64],
    first: int,
    capacity: int,
    placed: bool,
    live: NDArray[np.int64],
    place: NDArray[np.int64],
    roles: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    sums: NDArray[np.int64],
) -> tuple[int, int]:
    """Apply ``rows``; return the number of the fault and its row, or (0, -1)."""
    count = sums[COUNT]
    for row in rows:
        kind, who, bytes_, start = event[row], tensor[row], size[row], offset[row]
        if bytes_ < 0 or bytes_ > MAX_BYTES or (placed and (start < 0 or start > MAX_BYTES)):
            return 4, row
        if kind == ALLOC:
            if live[who] >= 0:
                return 1, row
            if placed and bytes_:
                end = start + bytes_
                index = _rank(starts, count, start)
                if (index < count and starts[index] < end) or (index and ends[index - 1] > start):
                    return 7, row
                for i in range(count, index, -1):
                    starts[i] = starts[i - 1]
                    ends[i] = ends[i - 1]
                starts[index] = start
                ends[index] = end
                count += 1
                sums[TOP] = max(sums[TOP], end)
                if end > capacity and sums[MISFIT] < 0:
                    sums[MISFIT] = first + row
            live[who] = bytes_
            place[who] = start
            roles[who] = role[row]
            sums[LIVE] += bytes_
            if sums[LIVE] > sums[PEAK]:
                sums[PEAK] = sums[LIVE]
                sums[PEAK_ROW] = first + row
        else:
            had = live[who]
            if had < 0:
                return (2 if kind == FREE else 3), row
            if kind == YIELD:
                if bytes_ > had:
                    return 6, row
                if placed and start != place[who] + had - bytes_:
                    return 8, row
                live[who] = bytes_
                sums[LIVE] -= had - bytes_
                if placed and had:
                    index = _rank(starts, count, place[who])
                    if bytes_:
                        starts[index] = start
                    else:
                        count -= 1
                        for i in range(index, count):
                            starts[i] = starts[i + 1]
                            ends[i] = ends[i + 1]
                place[who] = start
                sums[COUNT] = count
                continue
            if kind == FREE:
                if bytes_ != had or (placed and start != place[who]):
                    return 5, row
                live[who] = -1
            elif bytes_ == 0 or bytes_ > had:
                return 6, row
            else:
                live[who] = bytes_
                roles[who] = role[row]
            sums[LIVE] -= had - (bytes_ if kind == SHRINK else 0)
            if placed and had:
                index = _rank(starts, count, place[who])
                if kind == SHRINK:
                    ends[index] = starts[index] + bytes_
                else:
                    count -= 1
                    for i in range(index, count):
                        starts[i] = starts[i + 1]
                        ends[i] = ends[i + 1]
        sums[COUNT] = count
    return 0, -1


@dataclass(frozen=True, slots=True)
class Moment:
    """What is live in SRAM after a row of a trace. ``live`` is sorted, largest block first.

    ``places`` are the ``(offset, bytes)`` that the trace gives the blocks of ``live``.
    """

    row: int
    step: int
    op: str
    phase: str
    live: tuple[LiveBlock, ...]
    by_role: dict[str, int]
    places: tuple[tuple[int, int], ...]

    @property
    def where(self) -> str:
        """Row, step and op in words."""
        return f"row {self.row}, step {self.step}" + (f", op {self.op:.80}" if self.op else "")

    def largest_hole(self, capacity: int) -> int:
        """Return the largest run of bytes below ``capacity`` in which no live block lies."""
        largest, top = 0, 0
        for offset, size in sorted(self.places):
            largest = max(largest, min(offset, capacity) - top)
            top = max(top, offset + size)
        return max(largest, capacity - top)


class Machine:
    """The blocks live in SRAM while a trace is followed group by group.

    Args:
        capacity: bytes of SRAM; what reaches above it is noted in ``sums[MISFIT]``.
        placed: whether to look at offsets too, and check that live blocks never overlap.

    Tables must come in order, with names whose codes never change (as from a ``TraceFile``).
    """

    def __init__(self, *, capacity: int = MAX_BYTES, placed: bool = True) -> None:
        self.capacity, self.placed = capacity, placed
        self.sums = np.zeros(6, np.int64)
        self.sums[PEAK_ROW] = self.sums[MISFIT] = -1
        self.rows = 0
        self._names: tuple[str, ...] = ("",)
        self._live = np.full(64, -1, np.int64)
        self._place = np.zeros(64, np.int64)
        self._roles = np.zeros(64, np.uint8)
        self._starts = np.zeros(64, np.int64)
        self._ends = np.zeros(64, np.int64)

    def feed(self, table: EventTable) -> None:
        """Follow all events of a table.

        Raises:
            BadTrace: naming the first row that contradicts the ones before.
        """
        self._names = table.tensor_names
        self._grow(len(self._names))
        rows = memory_rows(table)
        fault, row = _follow(
            rows, table.event, table.tensor, table.role, table.bytes, table.offset,
            self.rows, self.capacity, self.placed,
            self._live, self._place, self._roles, self._starts, self._ends, self.sums,
        )  # fmt: skip
        if fault:
            raise self._bad(FAULTS[fault], table, int(row))
        self.rows += len(table)

    def _grow(self, names: int) -> None:
        room = len(self._live)
        if names <= room:
            return
        more = max(names, 2 * room) - room
        self._live = np.concatenate([self._live, np.full(more, -1, np.int64)])
        for array in ("_place", "_roles", "_starts", "_ends"):
            old: NDArray[Any] = getattr(self, array)
            setattr(self, array, np.concatenate([old, np.zeros(more, old.dtype)]))

    def _bad(self, fault: str, table: EventTable, row: int) -> BadTrace:
        event = table.row(row)
        code = table.tensor[row]
        reason = fault.format(
            name=event.tensor, bytes=event.bytes, offset=event.offset,
            live=int(self._live[code]), place=int(self._place[code]),
        )  # fmt: skip
        return BadTrace(f"trace row {self.rows + row}", reason, "record the trace again")

    def moment(self, table: EventTable, row: int) -> Moment:
        """Return what is live now; the event followed last was ``row`` of ``table``."""
        event = table.row(row)
        codes = np.flatnonzero(self._live > 0).tolist()
        codes.sort(key=lambda code: (-self._live[code], self._names[code]))
        live = tuple(
            LiveBlock(self._names[code], ENUMERATED["role"][self._roles[code]], int(self._live[code]))
            for code in codes
        )
        by_role: dict[str, int] = {}
        for block in live:
            by_role[block.role] = by_role.get(block.role, 0) + block.bytes
        ordered = {role: by_role[role] for role in ENUMERATED["role"] if role in by_role}
        places = tuple((int(self._place[code]), int(self._live[code])) for code in codes)
        return Moment(self.rows - 1, event.step, event.op, event.phase, live, ordered, places)
