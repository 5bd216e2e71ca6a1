"""What verbs about memory look at: a trace file, a run's folder, or a plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcusim.planning.plan import Plan
    from mcusim.session.experiment import Experiment
    from mcusim.traces import Trace, TraceFile


def trace_file(path: Path) -> TraceFile | Trace:
    """Return the trace in a file, in the folder that ``train --out`` wrote, or a shipped one by name.

    An allocation problem in the minimalloc CSV form is the trace of one step.

    Raises:
        BadTrace: there is none, or it is damaged.
        BadProblem: the allocation problem breaks a rule.
    """
    from mcusim.session.run import TRACE
    from mcusim.traces import TraceFile
    from mcusim.traces.problems import is_problem, read_problem
    from mcusim.traces.shipped import shipped_traces

    if path.is_dir():
        path = path / TRACE
    elif not path.exists():
        path = shipped_traces().get(str(path), path)
    return read_problem(path) if is_problem(path) else TraceFile(path)


def subject(name: str, wanted: Experiment) -> TraceFile | Trace | Plan:
    """Return the trace at a path or, with a network and a board, the plan of an update scheme.

    Raises:
        BadTrace: there is no such file, and no network and board to plan for.
    """
    if Path(name).exists() or wanted.model is None or wanted.board is None:
        return trace_file(Path(name))
    return replace(wanted, update=name).session().plan()
