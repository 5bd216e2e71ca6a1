"""The trace of a run: nothing, the first step, or every step streamed to disk."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mcusim.core import BadArgument, BadRun, BadTrace
from mcusim.core.wording import choice
from mcusim.events import EventTable, TableSink
from mcusim.planning.plan import Plan
from mcusim.session.run import TRACE
from mcusim.traces.recorder import Position, Recorder, part_of
from mcusim.traces.template import StepTemplate


@dataclass(frozen=True, slots=True)
class Begin:
    """The first step of a run, and what happened before it."""

    template: StepTemplate
    events: EventTable | None


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where a recording that goes on was when its run was saved."""

    position: list[int] | None
    """``None`` if the run was not recorded from its first step."""
    finished: bool
    """True if no step is left."""


class Recording:
    """Takes every step of a run and keeps what was asked for.

    Args:
        plan: the first plan, for the header.
        mode: see ``Recipe.trace``.
        folder: where ``all`` streams to.
        template: the events of a step of the plan that runs at this moment.
        begin: the first step of the run.
        resumed: where it goes on; ``None`` starts a new one.

    Raises:
        BadArgument: for ``all`` without a folder.
        BadRun: if what was recorded so far is damaged or not there; the run goes on without it.
    """

    def __init__(
        self, plan: Plan, mode: str, folder: Path | None, template: StepTemplate, begin: Begin,
        resumed: Resumed | None = None,
    ) -> None:  # fmt: skip
        self._running, self._begin, self._mode, self._folder = template, begin, mode, folder
        self._recorder: Recorder | None = None
        whole = folder is not None and (folder / TRACE).is_file() and not part_of(folder / TRACE).exists()
        self._kept = resumed is not None and resumed.finished and whole
        if mode != "all":
            return
        if folder is None:
            raise BadArgument("trace 'all'", "streams to a file", f"give a folder with {choice('out')}")
        path = folder / TRACE
        if resumed is None:
            part_of(path).unlink(missing_ok=True)
            self._recorder = Recorder(path, plan.header)
            self._recorder.write(template.opening, 0, 0)
        elif not self._kept:
            self._recorder = _continued(path, resumed)

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, kind: type[BaseException] | None, *about: object) -> None:
        """After an error or an interrupt keep what was streamed, so that a resumed run goes on from it."""
        if kind is not None and self._recorder is not None:
            self._recorder.__exit__(kind, *about)

    @property
    def streamed(self) -> bool:
        """True if every step goes to disk, or a run that was finished left its trace there."""
        return self._mode == "all" or self._kept

    def mark(self, events: EventTable | None, step: int, cycle: int) -> None:
        """Take the events of a stage that begins."""
        if events is not None and self._recorder is not None:
            self._recorder.write(events, step, cycle)

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

    def events(self) -> EventTable:
        """Return what was recorded, unless it was streamed."""
        sink = TableSink()
        if self._mode == "first":
            first = self._begin.template
            sink.write(first.opening, 0, 0)
            if self._begin.events is not None:
                sink.write(self._begin.events, 0, 0)
            sink.write(first.step, 0, 0)
            sink.write(first.closing, 0, first.cycles)
        return sink.table()

    def close(self, step: int, cycle: int) -> None:
        """Turn what was streamed into the trace after ``step`` steps, and remove the journal.

        Comes after everything else of the run is on disk: until then the journal is what a resume needs.
        """
        if self._recorder is not None:
            self._recorder.write(self._running.closing, step, cycle)
            self._recorder.close()
        elif self._folder is not None:
            part_of(self._folder / TRACE).unlink(missing_ok=True)


def _continued(path: Path, resumed: Resumed) -> Recorder:
    way_out = "resume with trace first or off: the model does not depend on it"
    if resumed.position is None:
        raise BadRun(str(path.parent), "was not recorded from its first step", way_out)
    try:
        return Recorder.resume(path, Position(*resumed.position))
    except BadTrace as error:
        # A run that was finished and becomes longer has a trace, and a journal only if it was killed since.
        with suppress(BadTrace):
            return Recorder.reopen(path, resumed.position[1])
        raise BadRun(error.thing, error.reason, way_out) from error
