"""Bytes that an output takes from the input that dies with it, for maps."""

from __future__ import annotations

from typing import NamedTuple

from mcusim.events import EventTable
from mcusim.traces.live import ALLOC, FREE, YIELD, memory_rows


class Shared(NamedTuple):
    """``bytes`` from ``offset`` that ``new`` writes, at event ``row``, over what was ``old``."""

    old: str
    new: str
    offset: int
    bytes: int
    row: int


def shared(events: EventTable) -> list[Shared]:
    """Return what outputs took from their inputs, in order of time.

    What takes the bytes that a ``yield`` gives is the block that is allocated next, by the schema of events.
    """
    found: list[Shared] = []
    held: dict[int, tuple[int, int]] = {}
    taken: list[tuple[int, int, int]] = []
    rows = memory_rows(events)
    columns = (events.tensor, events.event, events.offset, events.bytes)
    values = (column[rows].tolist() for column in columns)
    for row, code, event, offset, size in zip(rows.tolist(), *values, strict=True):
        if event == YIELD and code in held:
            start, before = held[code]
            taken.append((code, start, before - size))
        if event == ALLOC:
            name = events.tensor_names
            found += (Shared(name[old], name[code], start, count, row) for old, start, count in taken)
            taken = []
        held[code] = (offset, size)
        if event == FREE:
            del held[code]
    return found
