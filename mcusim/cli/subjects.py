"""What verbs about memory look at: a trace file, a run's folder, or a plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcusim.planning.plan import Plan
    from mcusim.session.experiment import Experiment
    from mcusim.traces import Trace, TraceFile


def subject(name: str, wanted: Experiment) -> TraceFile | Trace | Plan:
    """Return the trace at a path or, with a network and a board, the plan of an update scheme.

    Raises:
        BadTrace: there is no such file, and no network and board to plan for.
    """
    from mcusim.reporting.subject import open_trace

    if Path(name).exists() or wanted.model is None or wanted.board is None:
        return open_trace(name)
    return replace(wanted, update=name).session().plan()
