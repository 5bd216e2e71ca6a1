"""``mcusim explain``: what the peak is made of, and what would lower it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.cli.completing import offering
from mcusim.session.experiment import Experiment


@o.takes_settings(but=("data",), file="trace")
def explain(
    wanted: Experiment,
    trace: Annotated[
        Path | None,
        typer.Argument(
            help="Trace file, the folder of a run, or a run file (TOML).",
            metavar="TRACE",
            autocompletion=offering("trace"),
        ),
    ] = None,
    plot: o.Plot = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Say when the peak is, which op and tensors make it up, what is holes, and what would lower it.

    Suggestions come from planning again, so they need --model and --board rather than a trace.
    """
    from mcusim.cli.output import draw, end, print_json, print_sections, publish
    from mcusim.cli.progress import working
    from mcusim.core import BadArgument
    from mcusim.planning.facts import flash_shares
    from mcusim.reporting.subject import open_trace
    from mcusim.sections.kinds import Section

    flash: dict[str, object] = {}
    more: list[Section] = []
    first: list[Section] = []
    fits = True
    if trace is not None and trace.suffix != o.TOML:
        from mcusim.traces.explanation import explain_trace

        opened = open_trace(trace)
        draw(opened, plot)
        publish(opened, html)
        found = explain_trace(opened)
    elif wanted.model is not None and wanted.board is not None:
        network = wanted.network()
        with working("planning"):
            planned = wanted.session(network).plan(suggest=True)
        draw(planned, plot)
        publish(planned, html)
        found, fits = planned.explain(), planned.fits
        flash = {**network.as_dict(), "flash": planned.as_dict()["flash"]}
        first, more = network.sections(), [flash_shares(planned.flash)]
    else:
        raise BadArgument("explain", "has nothing to explain", "give a TRACE, or --model and --board")
    if json:
        print_json({**found.as_dict(), **flash})
    else:
        print_sections([*first, *found.sections(), *more])
    end(fits)
