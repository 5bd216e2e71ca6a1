"""``mcusim diff``: two runs, plans or traces side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcusim.cli import options as o
from mcusim.cli.completing import offering
from mcusim.session.experiment import Experiment

if TYPE_CHECKING:
    from mcusim.planning.plan import Plan
    from mcusim.reporting.saved import SavedRun
    from mcusim.sections.kinds import Section
    from mcusim.traces import Trace, TraceFile

SIDE = "Trace file, folder of a run, run file (TOML) or, with --model and --board, an update scheme."


@o.takes_settings(but=("update", "data"), file=None, reading=True)
def diff(
    wanted: Experiment,
    reading: Callable[[Path], Experiment],
    left: Annotated[str, typer.Argument(help=SIDE, autocompletion=offering("side"))],
    right: Annotated[str, typer.Argument(help=SIDE, autocompletion=offering("side"))],
    plot: o.Plot = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Compare bytes and cycles of two runs, plans or traces: in total, per role, per phase, per op."""
    from mcusim.cli.output import called, draw, print_json, print_sections
    from mcusim.cli.progress import working
    from mcusim.reporting.diff import diff as compare

    with working("planning both sides"):
        (one, first), (other, second) = (_subject(side, wanted, reading) for side in (left, right))
    found = compare(one, other, names=(left, right))
    draw(found, plot)
    if html is not None:
        from mcusim.reporting.difference_page import difference_page
        from mcusim.reporting.page import written

        sides = [_reported(name, side) for name, side in ((left, one), (right, other))]
        written(difference_page(*sides, names=(left, right), command=called()), html)
    if json:
        print_json(found.as_dict())
    else:
        said = first if first == second else [*first, *second]
        print_sections([*said, *found.sections()])


def _reported(name: str, side: TraceFile | Trace | Plan) -> TraceFile | Trace | Plan | SavedRun:
    """Return the run in a folder rather than its trace: its training is compared too."""
    from mcusim.reporting.saved import SavedRun

    return SavedRun.open(name) if Path(name).is_dir() else side


def _subject(
    name: str, wanted: Experiment, reading: Callable[[Path], Experiment]
) -> tuple[TraceFile | Trace | Plan, list[Section]]:
    """Return the trace at a path, or the plan of a run file or scheme, and what is said of its network.

    Args:
        name: of a trace file, of the folder of a run, of a run file (TOML), or of an update scheme.
        wanted: what the options say.
        reading: makes the experiment of a run file, the options over it.

    Raises:
        BadTrace: there is no such file, and no network and board to plan for.
        BadArgument: if a run file cannot be read.
    """
    from mcusim.reporting.subject import open_trace

    if Path(name).suffix == o.TOML:
        wanted = reading(Path(name))
    elif Path(name).exists() or wanted.model is None or wanted.board is None:
        return open_trace(name), []
    else:
        wanted = replace(wanted, update=name)
    network = wanted.network()
    return wanted.session(network).plan(), network.sections()
