"""Cutting a trace into placement problems, so that a planner can lay it out anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mcusim.core.errors import BadTrace
from mcusim.core.interval import Interval
from mcusim.core.vocabulary import Role
from mcusim.events import EventKind, EventTable
from mcusim.events.schema import CODES
from mcusim.memory.block import Block
from mcusim.memory.overlap import Overlap
from mcusim.memory.problem import Problem
from mcusim.traces.live import memory_rows

MAX_WINDOW = 1 << 20
"""Events of one step that are laid out together."""

Live = Mapping[str, tuple[int, Role]]
"""Bytes and role of each live tensor."""


@dataclass(frozen=True, slots=True)
class Window:
    """A run of events as blocks.

    ``tensors`` are the names of the tensors in ``blocks``, ``carried`` those of them that were live
    before the window or stay live after it, ``after`` what is live after it. Lifetimes count ops
    where the events of each op come in the order free, shrink, alloc, op; otherwise they count the
    events themselves. Several blocks of one tensor are told apart by ``#2`` …
    """

    blocks: tuple[Block, ...]
    tensors: tuple[str, ...]
    carried: frozenset[str]
    after: Live
    overlaps: tuple[Overlap, ...] = ()
    """Blocks that grew over others, at least as far below as they were placed; none if times are events."""


def window(events: EventTable, before: Live | None = None) -> Window:
    """Return the blocks of some events, given what was live before them.

    Raises:
        BadTrace: an event that contradicts the ones before; the machine names the row more closely.
    """
    rows = memory_rows(events)
    times, end = _clock(events, rows.tolist())
    open_: dict[str, _Open] = {}
    births: dict[str, int] = {}
    labels: set[str] = set()
    blocks: list[_Open] = []

    def begin(name: str, size: int, role: Role, time: int) -> None:
        label = name
        while label in labels:
            births[name] = births.get(name, 1) + 1
            label = f"{name}#{births[name]}"
        labels.add(label)
        open_[name] = _Open(name, label, size, role, time)
        blocks.append(open_[name])

    for name, (size, role) in (before or {}).items():
        begin(name, size, role, 0)
    carried = set(before or {})
    yielding: list[tuple[_Open, int]] = []
    licences: list[tuple[_Open, _Open, int]] = []
    for event, time in zip(events[rows], times, strict=True):
        live = open_.get(event.tensor)
        if (live is None) != (event.event == EventKind.ALLOC) or event.bytes < 0:
            raise BadTrace(f"trace row {event.seq}", f"cannot {event.event} {event.tensor!r:.80} here")
        if live is None:
            begin(event.tensor, event.bytes, Role(event.role or Role.ACTIVATION), time)
            for old, place in yielding:
                licences.append((old, blocks[-1], place - event.offset))
            yielding = []
        elif event.event == EventKind.YIELD:
            # What stays is said by its own offset; it was so many bytes further down before.
            yielding.append((live, event.offset - (live.now - event.bytes)))
        elif event.event == EventKind.FREE:
            open_.pop(event.tensor).end = time
        else:
            live.shrink(time, event.bytes)
    for block in open_.values():
        block.end = end
    # What is given back before the first op was live before the window and is not in it.
    blocks = [block for block in blocks if block.end > block.start]
    after = {name: (block.now, block.role) for name, block in open_.items()}
    overlaps = (
        Overlap(old.label, new.label, distance)
        for old, new, distance in licences
        if old.end == new.start + 1 and old.start < new.start and 0 <= distance < new.size
    )
    return Window(
        tuple(b.block() for b in blocks),
        tuple(b.tensor for b in blocks),
        frozenset(carried | set(open_)),
        after,
        tuple(overlaps),
    )


class _Open:
    """A block whose end is not known yet."""

    def __init__(self, tensor: str, label: str, size: int, role: Role, start: int) -> None:
        self.tensor, self.label, self.role = tensor, label, role
        self.size = self.now = size
        self.start = self.end = start
        self._shrinks: dict[int, int] = {}

    def shrink(self, time: int, size: int) -> None:
        self.now = size
        if time == self.start:
            self.size = size
        else:
            self._shrinks[time] = size

    def block(self) -> Block:
        shrinks, size = [], self.size
        for time, smaller in self._shrinks.items():
            if smaller < size and time < self.end:
                shrinks.append((time, smaller))
                size = smaller
        return Block(self.label, self.size, Interval(self.start, self.end), self.role, shrinks=tuple(shrinks))


def _clock(events: EventTable, rows: list[int]) -> tuple[list[int], int]:
    """Return the time of each row, and the time after the last: in ops if that loses nothing."""
    started = np.cumsum(events.event == CODES["event"]["op_start"])
    ops = started[rows].tolist()
    kinds = events.event[rows]
    allocating = (kinds == CODES["event"]["alloc"]).tolist()
    yielding = (kinds == CODES["event"]["yield"]).tolist()
    allocated = -1
    for time, alloc, yields in zip(ops, allocating, yielding, strict=True):
        if alloc:
            allocated = time
        elif allocated == time and not yields:  # what yields lives on to the end of its op
            return list(range(len(rows))), len(rows)
    return ops, int(started[-1]) + 1 if len(started) else 1


def steps(tables: Iterable[EventTable]) -> Iterator[EventTable]:
    """Cut a trace where the step changes.

    Raises:
        BadTrace: a step of more than :data:`MAX_WINDOW` events, or steps out of order.
    """
    rest = EventTable.empty()
    for table in tables:
        joined = EventTable.concat([rest, table]) if len(rest) else table
        cuts = np.flatnonzero(np.diff(joined.step)) + 1
        start = 0
        for cut in cuts.tolist():
            if joined.step[cut] < joined.step[cut - 1]:
                raise BadTrace(f"trace row {joined.seq[cut]}", "goes back to an earlier step")
            yield joined[start:cut]
            start = cut
        rest = joined[start:]
        if len(rest) > MAX_WINDOW:
            raise BadTrace("trace", f"has a step of more than {MAX_WINDOW:,} events")
    if len(rest):
        yield rest


def problem_of(events: EventTable, *, align: int = 1, capacity: int | None = None) -> Problem:
    """Return all blocks of a trace as one placement problem.

    Raises:
        BadTrace: more than :data:`MAX_WINDOW` events, or events that contradict each other.
    """
    if len(events) > MAX_WINDOW:
        raise BadTrace("trace", f"has more than {MAX_WINDOW:,} events", "export fewer steps")
    found = window(events)
    return Problem(found.blocks, capacity=capacity, align=align, overlaps=found.overlaps)
