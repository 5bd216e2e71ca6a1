"""``mcusim report``: one page about a run, a plan, a trace or a study, to be sent to somebody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.cli.completing import offering
from mcusim.session.experiment import FILE, Experiment


@o.takes_settings(file="trace", reading=True)
def report(
    wanted: Experiment,
    reading: Callable[[Path], Experiment],
    trace: Annotated[
        Path | None,
        typer.Argument(
            help="Trace file, folder of a run or study, or run file (TOML).",
            metavar="TRACE",
            autocompletion=offering("trace"),
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.", metavar="FILE")] = Path(
        "report.html"
    ),
    json: o.Json = False,
) -> None:
    """Write one HTML file that opens from disk: verdict, map of the arena, layers, training, device, origin.

    A plan is made from --model and --board. Of a run that train --out kept, the network answers its examples
    again, to show what it confuses. The file needs no network.
    """
    from mcusim.cli.output import end, print_json, print_sections, publish, publish_study
    from mcusim.cli.progress import working
    from mcusim.core import BadArgument
    from mcusim.reporting.page import Reported
    from mcusim.reporting.saved import SavedRun
    from mcusim.reporting.subject import open_trace
    from mcusim.sections.kinds import Command
    from mcusim.studies.reading import open_study
    from mcusim.studies.sweep import FILE as STUDY

    subject: Reported
    answers, fits = None, True
    if trace is not None and (trace / STUDY).is_file():
        publish_study(open_study(trace), out)
    elif trace is not None and trace.suffix != o.TOML:
        subject = open_trace(trace)
        if trace.is_dir():
            subject = run = SavedRun.open(trace)
            if (trace / FILE).is_file():
                from mcusim.cli.answers import answers_of

                answers = answers_of(run, reading(trace / FILE))
        publish(subject, out, answers=answers)
    elif wanted.model is not None and wanted.board is not None:
        with working("planning"):
            subject = plan = wanted.session(wanted.network()).plan(suggest=True)
        fits = plan.fits
        publish(subject, out)
    else:
        raise BadArgument("report", "has nothing to report on", "give a TRACE, or --model and --board")
    if json:
        print_json({"out": str(out), "bytes": out.stat().st_size})
    else:
        print_sections([Command(str(out), "written to")])
    end(fits)
