"""Blocks of a trace in time and space, for maps."""

from __future__ import annotations

from typing import NamedTuple

from mcusim.events import EventTable
from mcusim.events.schema import ENUMERATED
from mcusim.traces.live import FREE, memory_rows


class Rectangle(NamedTuple):
    """``bytes`` from ``offset`` that belong to ``tensor`` from event ``start`` until event ``end``."""

    tensor: str
    role: str
    offset: int
    bytes: int
    start: int
    end: int


def rectangles(events: EventTable) -> list[Rectangle]:
    """Return a rectangle for every block and every size it had, in order of time.

    Times are row numbers. What is not freed lives until the end. Blocks that were live before the
    first event are missing.
    """
    found: list[Rectangle] = []
    open_: dict[int, int] = {}
    rows = memory_rows(events)
    who, kind = events.tensor[rows].tolist(), events.event[rows].tolist()

    def close(code: int, end: int) -> None:
        row = open_.pop(code)
        role = ENUMERATED["role"][events.role[row]]
        place, size = int(events.offset[row]), int(events.bytes[row])
        if size:
            found.append(Rectangle(events.tensor_names[code], role, place, size, row, end))

    for row, code, event in zip(rows.tolist(), who, kind, strict=True):
        if code in open_:
            close(code, row)
        if event != FREE:
            open_[code] = row
    for code in list(open_):
        close(code, len(events))
    return sorted(found, key=lambda r: (r.start, r.offset))
