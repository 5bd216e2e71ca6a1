"""What can be replayed or exported: a file, a trace in memory, or just its events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from mcusim.core.errors import BadTrace
from mcusim.events import EventTable, Header
from mcusim.traces.store import Trace, TraceFile

Traced = Trace | TraceFile | EventTable


class Source:
    """A trace that can be gone through several times, in order and checked for it."""

    def __init__(self, source: Traced) -> None:
        self._source = source
        self.header = source.header if isinstance(source, Trace | TraceFile) else Header()

    def __iter__(self) -> Iterator[EventTable]:
        tables: Iterable[EventTable]
        if isinstance(self._source, TraceFile):
            tables = self._source
        else:
            tables = [self._source.events if isinstance(self._source, Trace) else self._source]
        row, cycle, step = 0, 0, 0
        for table in tables:
            cycle = _rising(table.cycle, cycle, "cycle", row)
            step = _rising(table.step, step, "step", row)
            row += len(table)
            yield table


def _rising(values: Any, last: int, column: str, first: int) -> int:
    """Check that a counter never goes back, and return its last value."""
    if not len(values):
        return last
    if values[0] < last or (np.diff(values) < 0).any():
        before = np.concatenate([[last], values[:-1]])
        row = int(np.argmax(values < before))
        raise BadTrace(
            f"trace row {first + row}",
            f"is out of order: {column} {int(values[row])} after {int(before[row])}",
            "record the trace again",
        )
    return int(values[-1])
