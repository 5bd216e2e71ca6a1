"""Where events go.

A training step emits a few hundred events whose shape is the same for every step with the same
plan. So nobody writes events one at a time: the engine builds a table per plan once, with
``seq``, ``cycle`` and ``step`` relative to the step, and writes it with the step and the
cycle at which it begins. A sink keeps the reference and does the arithmetic for many steps at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mcusim.events.table import EventTable


@runtime_checkable
class Sink(Protocol):
    """Takes blocks of events in the order in which they happen."""

    def write(self, block: EventTable, step: int, cycle: int) -> None:
        """Add ``block`` with ``step`` and ``cycle`` added to its columns, and ``seq`` going on.

        Args:
            block: events with step and cycle relative to the arguments; it must not change later.
            step: the training step, at least that of the block before.
            cycle: processor cycles since the recording began, at least those of the events before.
        """
        ...


class Write(NamedTuple):
    """One call of :meth:`Sink.write`, kept for later."""

    block: EventTable
    step: int
    cycle: int


def assemble(writes: Iterable[Write], seq: int = 0) -> EventTable:
    """Return all events of some writes as one table; the first has number ``seq``."""
    writes = [write for write in writes if len(write.block)]
    table = EventTable.concat([write.block for write in writes])
    lengths = np.array([len(write.block) for write in writes], np.int64)

    def spread(values: list[int]) -> NDArray[np.int64]:
        return np.repeat(np.array(values, np.int64), lengths)

    return table.replace(
        seq=np.arange(seq, seq + len(table), dtype=np.int64),
        step=table.step + spread([write.step for write in writes]),
        cycle=table.cycle + spread([write.cycle for write in writes]),
    )


class NullSink:
    """Forgets everything."""

    __slots__ = ()

    def write(self, block: EventTable, step: int, cycle: int) -> None:
        """Do nothing."""


class TableSink:
    """Keeps everything in memory, for short runs and tests: a reference and two integers a step."""

    def __init__(self) -> None:
        self._writes: list[Write] = []

    def write(self, block: EventTable, step: int, cycle: int) -> None:
        """Remember the block."""
        self._writes.append(Write(block, step, cycle))

    def table(self) -> EventTable:
        """Return all events written so far."""
        return assemble(self._writes)


class TeeSink:
    """Passes every block on to several sinks."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks

    def write(self, block: EventTable, step: int, cycle: int) -> None:
        """Write to each sink in turn."""
        for sink in self._sinks:
            sink.write(block, step, cycle)
