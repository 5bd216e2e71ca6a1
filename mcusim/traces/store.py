"""Trace files: what is common to their forms.

Whatever the form, a file is a pure function of its header and events. Events are written in
groups of :data:`GROUP` rows, however the run had them grouped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from mcusim.core.boundary import reading
from mcusim.core.errors import BadTrace
from mcusim.core.files import replacing
from mcusim.events import EventTable, Header
from mcusim.events.digest import ContentDigest
from mcusim.events.sink import Write, assemble
from mcusim.traces import csv_format, parquet_format
from mcusim.traces.limits import GROUP, MAX_LOADED
from mcusim.traces.promise import Promise


@dataclass(frozen=True, slots=True)
class Trace:
    """A recording in memory."""

    header: Header
    events: EventTable

    def save(self, path: str | Path) -> Path:
        """Write a trace file, ``.csv`` or Parquet by suffix, and return its path.

        Raises:
            SaveFailed: if it cannot be written; a file that was there stays.
        """
        return write_trace(path, self.events, self.header)


class TraceFormat(Protocol):
    """A file form, as the modules ``csv_format`` and ``parquet_format`` implement it."""

    def write(self, file: IO[bytes], header: Header, rows: int, groups: Iterable[EventTable]) -> None:
        """Write a whole file."""
        ...

    def head(self, path: Path) -> Promise:
        """Return what the file promises, its bytes checked."""
        ...

    def tables(self, path: Path) -> Iterator[EventTable]:
        """Yield the events in groups."""
        ...


def _form(path: Path) -> TraceFormat:
    return csv_format if path.suffix == ".csv" else parquet_format


class TraceFile:
    """A trace file, read group by group.

    Iterating yields tables in the order of the file. Names keep their codes from table to table,
    each table's vocabulary extends that of the one before.

    Attributes:
        header: what the trace is of.
        rows: the number of events.
        content: SHA-256 of the header and the events, the same in every form and under every version of the
            library that wrote it; empty for text that a person wrote.

    Raises:
        BadTrace: not a trace, of another version, damaged, or too large; also while iterating.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._form = _form(self.path)
        if not self.path.is_file():
            raise BadTrace(str(path), "does not exist" if not self.path.exists() else "is not a file")
        with self._reading():
            self.header, self.rows, self.content = self._form.head(self.path)

    def __len__(self) -> int:
        return self.rows

    def _reading(self) -> AbstractContextManager[None]:
        return reading(self.path, BadTrace, "record the trace again")

    def __iter__(self) -> Iterator[EventTable]:
        seen, digest = 0, ContentDigest(self.header)
        tables = self._form.tables(self.path)
        while True:
            with self._reading():
                table = next(tables, None)
            if table is None:
                break
            _check_sequence(str(self.path), table, seen)
            seen += len(table)
            if seen > self.rows:
                break
            digest.add(table)
            yield table
        if seen != self.rows:
            more = "more" if seen > self.rows else f"only {seen:,}"
            raise BadTrace(
                str(self.path), f"promises {self.rows:,} events and has {more}", "record the trace again"
            )
        if self.content and digest.hexdigest() != self.content:
            raise BadTrace(str(self.path), "holds other events than it promises", "record the trace again")


def read_trace(path: str | Path) -> Trace:
    """Load a whole trace file.

    Args:
        path: the file; ``open_trace`` reads group by group what this holds in memory.

    Raises:
        BadTrace: not a trace, of another version, damaged, or of more than :data:`MAX_LOADED` events.
    """
    file = TraceFile(path)
    if file.rows > MAX_LOADED:
        raise BadTrace(
            str(path),
            f"has {file.rows:,} events, too many to hold in memory",
            "iterate over TraceFile(path)",
        )
    return Trace(file.header, EventTable.concat(list(file)))


def write_trace(path: str | Path, events: EventTable, header: Header) -> Path:
    """Write a trace file, ``.csv`` or Parquet by suffix, and return its path. Events are renumbered from 0.

    Raises:
        SaveFailed: if it cannot be written; a file that was there stays.
    """
    path = Path(path)
    write_events(path, header, len(events), regroup([Write(events, 0, 0)]))
    return path


def write_events(path: Path, header: Header, rows: int, groups: Iterable[EventTable]) -> None:
    """Write a trace file that is whole or not there. ``rows`` is the number of events in ``groups``.

    Raises:
        SaveFailed: if it cannot be written.
    """
    with replacing(path) as file:
        _form(path).write(file, header, rows, groups)


def regroup(writes: Iterable[Write]) -> Iterator[EventTable]:
    """Turn writes into tables of exactly :data:`GROUP` events, the last one shorter."""
    pending: list[Write] = []
    held, done = 0, 0
    rest = EventTable.empty()
    for write in writes:
        pending.append(write)
        held += len(write.block)
        if held >= GROUP:
            table = EventTable.concat([rest, assemble(pending, done + len(rest))])
            pending.clear()
            while len(table) >= GROUP:
                yield table[:GROUP]
                table, done = table[GROUP:], done + GROUP
            rest, held = table, len(table)
    table = EventTable.concat([rest, assemble(pending, done + len(rest))])
    if len(table):
        yield table


def _check_sequence(name: str, table: EventTable, first: int) -> None:
    wrong = np.flatnonzero(table.seq != np.arange(first, first + len(table)))
    if len(wrong):
        row = int(wrong[0])
        raise BadTrace(
            f"{name}, row {first + row}",
            f"has sequence number {int(table.seq[row])}",
            "events are out of order; record the trace again",
        )
