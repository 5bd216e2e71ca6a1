"""The trace of a run: nothing, the first step, or every step streamed to disk."""

from __future__ import annotations

from pathlib import Path

from mcusim.core import BadArgument
from mcusim.events import EventTable, TableSink
from mcusim.planning.plan import Plan
from mcusim.session.run import TRACE
from mcusim.traces.recorder import Position, Recorder, part_of
from mcusim.traces.template import StepTemplate


class Recording:
    """Takes every step of a run and keeps what was asked for.

    Args:
        plan: the first plan, for the header.
        mode: see ``Recipe.trace``.
        folder: where ``all`` streams to.
        template: the events of a step of the plan that runs at this moment.
        position: where a resumed recording goes on; ``None`` starts a new one.

    Raises:
        BadArgument: for ``all`` without a folder.
    """

    def __init__(
        self, plan: Plan, mode: str, folder: Path | None, template: StepTemplate, position: list[int] | None
    ) -> None:
        self._running = template
        self._first = template if mode == "first" else None
        self._began: EventTable | None = None
        self._recorder: Recorder | None = None
        if mode == "all":
            if folder is None:
                raise BadArgument("trace 'all'", "streams to a file", "give a folder with out=…")
            path = folder / TRACE
            if position is not None:
                self._recorder = Recorder.resume(path, Position(*position))
            else:
                part_of(path).unlink(missing_ok=True)
                self._recorder = Recorder(path, plan.header)
                self._recorder.write(template.opening, 0, 0)

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, kind: type[BaseException] | None, *about: object) -> None:
        """After an error or an interrupt keep what was streamed, so that a resumed run goes on from it."""
        if kind is not None and self._recorder is not None:
            self._recorder.__exit__(kind, *about)

    @property
    def streamed(self) -> bool:
        """True if every step goes to disk."""
        return self._recorder is not None

    @property
    def listens(self) -> bool:
        """True if the events of a stage that begins are wanted."""
        return self._recorder is not None or (self._first is not None and self._began is None)

    def mark(self, events: EventTable | None, step: int, cycle: int) -> None:
        """Take the events of a stage that begins."""
        if events is None:
            return
        if self._recorder is not None:
            self._recorder.write(events, step, cycle)
        elif self._began is None:
            self._began = events

    def write(self, template: StepTemplate, step: int, cycle: int) -> None:
        """Take one step; when the plan changed, the old one's resident blocks go and the new one's come."""
        if self._recorder is None:
            return
        if template is not self._running:
            self._recorder.write(self._running.closing, step, cycle)
            self._recorder.write(template.opening, step, cycle)
            self._running = template
        self._recorder.write(template.step, step, cycle)

    def position(self) -> list[int] | None:
        """Return where a resumed recording goes on."""
        if self._recorder is None:
            return None
        position = self._recorder.position()
        return [position.bytes, position.events]

    def finish(self, step: int, cycle: int) -> EventTable:
        """End the recording after ``step`` steps; return its events unless they were streamed."""
        if self._recorder is not None:
            self._recorder.write(self._running.closing, step, cycle)
            self._recorder.close()
            return EventTable.empty()
        sink = TableSink()
        if self._first is not None:
            sink.write(self._first.opening, 0, 0)
            if self._began is not None:
                sink.write(self._began, 0, 0)
            sink.write(self._first.step, 0, 0)
            sink.write(self._first.closing, 0, self._first.cycles)
        return sink.table()
