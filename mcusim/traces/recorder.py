"""Recording a run: a sink that ends as a trace file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mcusim.core.errors import BadTrace, SaveFailed
from mcusim.events import EventTable, Header
from mcusim.events.sink import Write
from mcusim.traces.journal import JournalReader, JournalWriter
from mcusim.traces.store import TraceFile, regroup, write_events

PENDING = 512
"""Writes kept in memory before they go to the journal."""


@dataclass(frozen=True, slots=True)
class Position:
    """A point in a recording from which it can go on; belongs into the checkpoint of a run."""

    bytes: int
    """Length of the journal."""
    events: int
    """Events recorded so far."""


class Recorder:
    """Records to ``PATH.part`` and puts the trace in place when closed; ``.csv`` or Parquet by suffix.

    Memory use does not depend on the length of the recording, but for the index at the end of a
    Parquet file: some 10 KB for every 262,144 events. The finished file depends only on
    the header and the events, so a recording that was killed and resumed gives the same bytes.
    Used as a context manager it closes on success; after an error or an interrupt the journal stays, to
    be continued by :meth:`resume` or thrown away by :meth:`discard`.

    Raises:
        BadTrace: if a recording to this path is in progress or was killed.
        SaveFailed: if the file cannot be written, here and in every method that writes.
    """

    def __init__(self, path: str | Path, header: Header) -> None:
        self._open(Path(path), header, "xb")
        with self._saving():
            self._writer.begin(header)

    def _open(self, path: Path, header: Header, mode: str) -> None:
        self.path, self.header = path, header
        self.part = part_of(path)
        self._events = 0
        self._pending: list[Write] = []
        try:
            self.part.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.part, mode)  # noqa: SIM115 (closed by close and discard)
        except FileExistsError as error:
            raise BadTrace(
                str(self.part), "is a recording that was not finished", "resume or delete it"
            ) from error
        except OSError as error:
            raise _failed(self.part, error) from error
        self._writer = JournalWriter(self._file)

    @classmethod
    def resume(cls, path: str | Path, position: Position | None = None) -> Recorder:
        """Continue a recording at a position, forgetting what came after it.

        Without a position it goes on after the last writes that reached the disk whole.

        Raises:
            BadTrace: there is no such recording, it is damaged, or shorter than the position.
        """
        part = part_of(Path(path))
        if not part.is_file():
            raise BadTrace(str(part), "does not exist", "start a new recording")
        with JournalReader(part) as journal:
            end, events = journal.end() if position is None else (position.bytes, position.events)
            if part.stat().st_size < end:
                reason = f"has {part.stat().st_size} bytes and should have {end}"
                raise BadTrace(str(part), reason, "record again")
            # Damage is found now, not after the hours that the rest of the recording takes.
            found = sum(len(write.block) for write in journal.writes(end))
            if found != events:
                raise BadTrace(str(part), f"has {found} events and should have {events}", "record again")
            header = journal.header
        recorder = cls.__new__(cls)
        recorder._open(Path(path), header, "r+b")
        recorder._file.seek(end)
        recorder._file.truncate()
        recorder._events = events
        return recorder

    @classmethod
    def reopen(cls, path: str | Path, events: int) -> Recorder:
        """Go on from a recording that was closed, forgetting all after its first ``events`` events.

        The trace stays in place until the longer one is closed.

        Raises:
            BadTrace: the trace is not there, is damaged, or has fewer events.
        """
        trace = TraceFile(path)
        if trace.rows < events:
            raise BadTrace(str(path), f"has {trace.rows:,} events and should have {events:,}", "record again")
        part_of(Path(path)).unlink(missing_ok=True)
        recorder = cls(path, trace.header)
        for table in trace:  # to its end, so that all of it is checked
            recorder.write(table[: max(events - recorder._events, 0)], 0, 0)
        return recorder

    def write(self, block: EventTable, step: int, cycle: int) -> None:
        """Add a block of events; see :meth:`mcusim.events.Sink.write`."""
        self._pending.append(Write(block, step, cycle))
        self._events += len(block.seq)
        if len(self._pending) >= PENDING:
            self._flush()

    def position(self) -> Position:
        """Bring everything so far to the disk and return where that is."""
        self._flush()
        with self._saving():
            self._file.flush()
            os.fsync(self._file.fileno())
        return Position(self._file.tell(), self._events)

    def close(self) -> Path:
        """Turn the journal into the trace file, remove it, and return the file's path.

        If that does not work the journal stays, and ``Recorder.resume(path).close()`` tries again.
        """
        end = self.position().bytes
        self._file.close()
        with JournalReader(self.part) as journal:
            write_events(self.path, self.header, self._events, regroup(journal.writes(end)))
        self.part.unlink()
        return self.path

    def discard(self) -> None:
        """Give the recording up and remove the journal; a trace that was there before stays."""
        self._pending.clear()
        self._file.close()
        self.part.unlink(missing_ok=True)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        elif not self._file.closed:
            self.position()
            self._file.close()

    def _flush(self) -> None:
        with self._saving():
            self._writer.append(self._pending)
        self._pending.clear()

    @contextmanager
    def _saving(self) -> Iterator[None]:
        """Turn a full disk into an error, and give the journal up where it was torn."""
        if self._file.closed:
            raise SaveFailed(str(self.part), "is closed", "resume the recording")
        try:
            yield
        except OSError as error:
            # Closing may fail for the same reason; what reached the disk whole is found by resume.
            with suppress(OSError):
                self._file.close()
            raise _failed(self.part, error) from error


def part_of(path: Path) -> Path:
    """Return where a recording to ``path`` keeps its journal."""
    return path.with_name(path.name + ".part")


def _failed(path: Path, error: OSError) -> SaveFailed:
    return SaveFailed(
        str(path),
        f"cannot be written: {error.strerror or error}",
        "free some space, then resume the recording",
    )
