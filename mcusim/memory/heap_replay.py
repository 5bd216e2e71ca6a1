"""Playing a long list of alloc, free and shrink events through a dynamic allocator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mcusim.core import BadProblem, BadTrace, OutOfSram, Role
from mcusim.memory.allocators import ALLOCATORS
from mcusim.memory.allocators.best_fit import GEOMETRY as BEST_FIT
from mcusim.memory.allocators.first_fit import GEOMETRY as FIRST_FIT
from mcusim.memory.allocators.tlsf import GEOMETRY as TLSF
from mcusim.memory.block import MAX_BYTES

ALLOC, FREE, SHRINK = 0, 1, 2
"""Kinds of heap events."""
_COMPILED = {"first_fit": (0, FIRST_FIT), "best_fit": (1, BEST_FIT), "tlsf": (2, TLSF)}
"""Policy number in ``heap_core`` and block geometry of the allocators that run compiled."""


@dataclass(frozen=True, slots=True)
class HeapEvents:
    """Events in order, as three columns of equal length.

    Attributes:
        kind: int8, ``ALLOC``, ``FREE`` or ``SHRINK``.
        block: int32, index of the block, 0 or more and small: arrays of that length are made.
        size: int64, payload bytes of an alloc, or what a shrink leaves; ignored for a free.
        names: of the blocks, for error messages.
        roles: of the blocks, for error messages.

    Raises:
        BadTrace: if the columns do not go together or hold impossible values.
    """

    kind: npt.NDArray[np.int8]
    block: npt.NDArray[np.int32]
    size: npt.NDArray[np.int64]
    names: Sequence[str] = field(default=())
    roles: Sequence[Role] = field(default=())

    def __post_init__(self) -> None:
        if not len(self.kind) == len(self.block) == len(self.size):
            raise BadTrace("heap events", "have columns of different lengths")
        if not len(self.kind):
            return
        if self.kind.min() < 0 or self.kind.max() > SHRINK:
            raise BadTrace("heap events", "have an unknown kind", "use ALLOC, FREE or SHRINK")
        if self.block.min() < 0 or self.block.max() > 50_000_000:
            raise BadTrace("heap events", "have a block index out of range", "number blocks from 0")
        if self.size.min() < 0 or self.size.max() >= MAX_BYTES:
            raise BadTrace("heap events", "have a size out of range")


@dataclass(frozen=True, slots=True)
class HeapReplay:
    """What became of the heap.

    Attributes:
        offsets: int64, the offset of the block of each event.
        top_bytes: highest address in use at any time.
        peak_bytes: most bytes needed at any time, see ``Heap``.
        peak_live_bytes: most payload bytes live at once.
        peak_event: index of the first event after which they were.
        peak_overhead_bytes: headers, rounding and control structures then.
    """

    offsets: npt.NDArray[np.int64]
    top_bytes: int
    peak_bytes: int
    peak_live_bytes: int
    peak_event: int
    peak_overhead_bytes: int


def replay(allocator: str, capacity: int, events: HeapEvents) -> HeapReplay:
    """Play ``events`` on an empty heap of ``capacity`` bytes.

    First fit, best fit and TLSF run compiled; every other registered allocator runs event by
    event in Python. The results are those of ``replay_slowly``, errors included.

    Raises:
        OutOfSram: with the event and the live blocks, if an alloc does not fit.
        BadTrace: with the event, on an alloc of a live block, or a free or shrink of a dead one.
        BadProblem: if the capacity makes no sense.
        UnknownName: if there is no such allocator.
    """
    if allocator not in _COMPILED:
        return replay_slowly(allocator, capacity, events)
    from mcusim.memory import heap_core as core

    policy, geometry = _COMPILED[allocator]
    heap = ALLOCATORS[allocator](capacity)
    room = capacity - heap.control_bytes
    first = heap.holes[0].start if room else 0
    most = _most_live(events.kind)
    nodes = np.zeros((2 * most + 3, core.COLUMNS), np.int64)
    nodes[0] = first, first + room, core.NONE, core.NONE, 0, core.NONE, core.NONE, 0
    rows = max(1, capacity.bit_length())
    blocks = int(events.block.max()) + 1 if len(events.block) else 0
    offsets = np.zeros(len(events.kind), np.int64)
    status, _, top, peak, peak_event, taken = core.run(
        policy,
        np.ascontiguousarray(events.kind, np.int8),
        np.ascontiguousarray(events.block, np.int32),
        np.ascontiguousarray(events.size, np.int64),
        geometry.header_bytes,
        geometry.align,
        geometry.min_block,
        nodes,
        np.arange(len(nodes) - 1, 0, -1, dtype=np.int64),
        np.full(32 * rows, core.NONE, np.int64),
        np.zeros(rows + 1, np.int64),
        np.full(blocks, core.NONE, np.int64),
        np.zeros(blocks, np.int64),
        offsets,
    )
    if status != core.DONE:
        return replay_slowly(allocator, capacity, events)
    return HeapReplay(offsets, top, top, max(peak, 0), peak_event, taken + heap.control_bytes - max(peak, 0))


def replay_slowly(allocator: str, capacity: int, events: HeapEvents) -> HeapReplay:
    """Play ``events`` one by one on a :class:`Heap`; the twin of ``replay``, and its error path."""
    heap = ALLOCATORS[allocator](capacity)
    offset_of: dict[int, int] = {}
    offsets = np.zeros(len(events.kind), np.int64)
    peak, peak_event, peak_overhead = -1, 0, heap.control_bytes
    columns = zip(events.kind.tolist(), events.block.tolist(), events.size.tolist(), strict=True)
    for index, (kind, block, size) in enumerate(columns):
        name = events.names[block] if block < len(events.names) else f"block {block}"
        if (kind == ALLOC) == (block in offset_of):
            state = "is allocated while it is live" if kind == ALLOC else "is freed or cut and not live"
            raise BadTrace(f"event {index}", f"{name} {state}")
        if kind == ALLOC:
            role = events.roles[block] if block < len(events.roles) else Role.ACTIVATION
            try:
                offsets[index] = heap.alloc(size, name=name, role=role, where=f"event {index}, {name}")
            except OutOfSram as error:
                error.event = index
                raise
            offset_of[block] = int(offsets[index])
            if heap.live_bytes > peak:
                peak, peak_event, peak_overhead = heap.live_bytes, index, heap.overhead_bytes
        elif kind == FREE:
            offsets[index] = offset_of.pop(block)
            heap.free(int(offsets[index]))
        else:
            offsets[index] = offset_of[block]
            try:
                heap.shrink(offset_of[block], size)
            except BadProblem as error:
                raise BadTrace(f"event {index}", f"{name} {error.reason}") from error
    return HeapReplay(offsets, heap.top_bytes, heap.peak_bytes, max(peak, 0), peak_event, peak_overhead)


def _most_live(kind: npt.NDArray[np.int8]) -> int:
    """Return an upper bound on the blocks live at once; the count of allocs bounds bad traces too."""
    steps = np.where(kind == ALLOC, 1, np.where(kind == FREE, -1, 0))
    running = np.cumsum(steps)
    return int((running - np.minimum.accumulate(np.minimum(running, 0))).max(initial=0))
