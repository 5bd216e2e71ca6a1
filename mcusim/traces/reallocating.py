"""Replaying a trace on a dynamic allocator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core.errors import BadTrace, OutOfSram
from mcusim.core.vocabulary import Role
from mcusim.events.schema import CODES, ENUMERATED
from mcusim.memory import heap_replay
from mcusim.memory.heap_replay import HeapEvents, HeapReplay
from mcusim.traces.following import fullest, measure, moment_at
from mcusim.traces.limits import MAX_LOADED
from mcusim.traces.live import YIELD, memory_rows
from mcusim.traces.outcome import Replay
from mcusim.traces.source import Source

LARGEST_HEAP = 1 << 40


def reallocate(trace: Source, allocator: str, capacity: int | None) -> Replay:
    """Serve allocs, frees and shrinks as they come, with the allocator's headers and alignment.

    Without a capacity the heap is doubled, from the SRAM the trace was recorded with, until it fits.

    Raises:
        BadTrace: events that contradict each other, or too many to hold in memory.
        OutOfSram: no hole is large enough for an alloc.
    """
    live_bytes, peak_row, events = measure(trace)
    played, rows = heap_events(trace, events)
    if capacity is None:
        capacity, result = _growing(allocator, played, max(trace.header.sram_bytes, 2 * live_bytes, 4096))
    else:
        result = _replay(allocator, capacity, played, rows, trace, (live_bytes, peak_row))
    return Replay(
        method="allocator",
        name=allocator,
        sram_bytes=capacity,
        peak_bytes=result.peak_bytes,
        live_bytes=live_bytes,
        overhead_bytes=result.peak_overhead_bytes,
        moment=moment_at(trace, peak_row),
        events=events,
    )


def _replay(
    allocator: str,
    capacity: int,
    events: HeapEvents,
    rows: NDArray[np.int64],
    trace: Source,
    peak: tuple[int, int],
) -> HeapReplay:
    try:
        return heap_replay.replay(allocator, capacity, events)
    except OutOfSram as error:
        row = int(rows[error.event])
        raise OutOfSram(
            capacity_bytes=capacity,
            needed_bytes=error.needed_bytes,
            largest_hole_bytes=error.largest_hole_bytes,
            live=error.live,
            where=moment_at(trace, row).where,
            fullest=fullest(trace, *peak),
        ) from error


def _growing(allocator: str, events: HeapEvents, capacity: int) -> tuple[int, HeapReplay]:
    while True:
        try:
            return capacity, heap_replay.replay(allocator, capacity, events)
        except OutOfSram:
            if capacity >= LARGEST_HEAP:
                raise
            capacity *= 2


def heap_events(trace: Source, count: int) -> tuple[HeapEvents, NDArray[np.int64]]:
    """Return the events of SRAM as the allocators take them, and the row of each."""
    if count > MAX_LOADED:
        raise BadTrace(
            "trace", f"has {count:,} events, too many for an allocator at once", "record fewer steps"
        )
    kinds = np.zeros(len(ENUMERATED["event"]), np.int8)
    for name, kind in (("free", heap_replay.FREE), ("shrink", heap_replay.SHRINK)):
        kinds[CODES["event"][name]] = kind
    columns: dict[str, list[NDArray[Any]]] = {"kind": [], "block": [], "size": [], "row": []}
    names: tuple[str, ...] = ()
    roles = np.zeros(0, np.uint8)
    first = 0
    for table in trace:
        rows = memory_rows(table)
        rows = rows[table.event[rows] != YIELD]  # no block of a heap grows over another one
        columns["kind"].append(kinds[table.event[rows]])
        columns["block"].append(table.tensor[rows])
        columns["size"].append(table.bytes[rows])
        columns["row"].append(first + rows)
        names = table.tensor_names
        roles = np.concatenate([roles, np.zeros(len(names) - len(roles), np.uint8)])
        roles[table.tensor[rows]] = table.role[rows]
        first += len(table)
    joined = {name: np.concatenate(parts) if parts else np.zeros(0, int) for name, parts in columns.items()}
    known = [Role(ENUMERATED["role"][code] or Role.ACTIVATION) for code in roles.tolist()]
    return HeapEvents(joined["kind"], joined["block"], joined["size"], names, known), joined["row"]
