"""What reports are about: a plan, a run, a trace in memory or a trace file. All become events."""

from __future__ import annotations

from pathlib import Path

from mcusim.core.errors import BadArgument, BadTrace
from mcusim.events import EventTable, TableSink
from mcusim.planning.plan import Plan
from mcusim.reporting.foreign import reader_of
from mcusim.session.run import TRACE, Run
from mcusim.traces import Trace, TraceFile
from mcusim.traces.limits import MAX_LOADED
from mcusim.traces.problems import is_problem, read_problem
from mcusim.traces.shipped import shipped_traces
from mcusim.traces.source import Source

Subject = Plan | Run | Trace | TraceFile | EventTable


def open_trace(path: str | Path) -> TraceFile | Trace:
    """Open a recorded trace, to be replayed, explained, compared or exported.

    Args:
        path: a trace file, the folder that a training wrote, the name of a trace that comes with the
            package, or what becomes the trace of one step: an allocation problem in the minimalloc CSV form,
            a CSV file of allocs and frees, a log of an RTOS heap (.log, .txt), a memory snapshot of PyTorch
            (.json, .pickle, .pkl).

    Returns:
        The trace file; iterating reads it group by group, and ``mcusim.Trace`` is one held in memory.

    Raises:
        BadTrace: there is none, or it is damaged.
        BadProblem: if an allocation problem breaks a rule.
    """
    place = Path(path)
    if place.suffix == ".toml":
        raise BadTrace(str(path), "is a run file, and no trace", "plan, explain, report and diff read it")
    if place.is_dir():
        place = place / TRACE
    elif not place.exists():
        place = shipped_traces().get(str(path), place)
    if is_problem(place):
        return read_problem(place)
    read = reader_of(place)
    return TraceFile(place) if read is None else read(place)


def trace_of(subject: Subject) -> Trace:
    """Return the events of a subject, checked for order, with what is known about where they come from.

    A plan gives one step. A run gives what it recorded, or one step of its plan if that is on disk
    or was switched off.

    Raises:
        BadTrace: a damaged trace file, or one too large to hold in memory.
        BadArgument: something else than a subject.
    """
    match subject:
        case Plan():
            return _planned(subject)
        case Run():
            if len(subject.trace):
                return Trace(subject.plan.header, subject.trace)
            return _planned(subject.plan)
        case TraceFile() if len(subject) > MAX_LOADED:
            raise BadTrace(str(subject.path), f"has {len(subject):,} events, too many to hold in memory")
        case Trace() | TraceFile() | EventTable():
            source = Source(subject)
            return Trace(source.header, EventTable.concat(list(source)))
    raise BadArgument(f"{type(subject).__name__}", "cannot be reported on", "give a plan, a run or a trace")


def _planned(plan: Plan) -> Trace:
    sink = TableSink()
    template = plan.template()
    sink.write(template.opening, 0, 0)
    sink.write(template.step, 0, 0)
    sink.write(template.closing, 0, template.cycles)
    return Trace(plan.header, sink.table())
