"""The picture of any result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mcusim.core.errors import BadArgument
from mcusim.events import EventTable
from mcusim.explore.compare import Comparison
from mcusim.explore.found import Found
from mcusim.mcu.cycles.calibration import Calibration
from mcusim.mcu.timeline.timeline import Timeline
from mcusim.memory.problem import Problem, Solution
from mcusim.planning.plan import Plan
from mcusim.reporting.diff import Difference
from mcusim.session.run import Run
from mcusim.studies.result import StudyResult
from mcusim.traces import Trace, TraceFile
from mcusim.traces.outcome import Replay
from mcusim.traces.tour import Tour

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawable = (
    Plan | Run | Trace | TraceFile | EventTable | Comparison | Difference | Found | Timeline | Tour
    | Replay | StudyResult | Calibration | tuple[Problem, Solution]
)  # fmt: skip


def plot(result: Drawable, path: str | Path | None = None) -> Figure:
    """Draw a result, sized for a column, in the colours that roles have everywhere.

    A plan or a trace is drawn as live bytes over its step beside the map of its arena, a run as its
    metric and loss, a comparison as bars by role, a difference as pairs of bars, a search as gain over
    peak, a tour as bars, a timeline as its tracks, a replay as a bar, a study as fronts, a
    calibration as modelled over measured cycles, an allocation problem with its solution as blocks in time
    and space.

    Args:
        result: what is drawn; of a problem the pair ``(problem, solution)``.
        path: also write it there, as ``.png``, ``.svg`` or ``.pdf``.

    Returns:
        The figure of matplotlib.

    Raises:
        MissingPackage: if matplotlib is not installed.
        BadArgument: if it is no result, a trace has no events, or the suffix is another one.
        SaveFailed: if the file cannot be written; nothing half-written is left.
    """
    from mcusim.reporting.pictures.canvas import save, styled

    with styled():
        figure = _drawn(result)
    if path is not None:
        save(figure, path)
    return figure


def _drawn(result: Drawable) -> Figure:
    from mcusim.reporting.pictures import (
        calibrated,
        choice,
        comparison,
        difference,
        frames,
        front,
        memory,
        placement,
        replayed,
        tour,
        training,
    )

    match result:
        case Plan() | Trace() | TraceFile() | EventTable():
            return memory.plot_memory(result)
        case Run():
            return training.plot_training(result)
        case Comparison():
            return comparison.plot_comparison(result)
        case Difference():
            return difference.plot_difference(result)
        case Found():
            return choice.plot_choice(result)
        case Tour():
            return tour.plot_tour(result)
        case Timeline():
            return frames.plot_frames(result)
        case Replay():
            return replayed.plot_replay(result)
        case StudyResult():
            return front.plot_front(result)
        case Calibration():
            return calibrated.plot_calibration(result)
        case (Problem() as problem, Solution() as solution):
            return placement.plot_placement(problem, solution)
    raise BadArgument(
        f"{type(result).__name__}", "has no picture", "give a plan, a run, a trace or another result"
    )
