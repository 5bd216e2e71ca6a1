"""``mcusim report``: one page about a run, a plan or a trace, to be sent to somebody."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.session.experiment import Experiment


@o.takes_settings(but=("data",), file="trace")
def report(
    wanted: Experiment,
    trace: Annotated[
        Path | None,
        typer.Argument(help="Trace file, the folder of a run, or a run file (TOML).", metavar="TRACE"),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.", metavar="FILE")] = Path(
        "report.html"
    ),
    json: o.Json = False,
) -> None:
    """Write one HTML file that opens from disk: the verdict, a map of the arena, ops, and all facts.

    A plan is made from --model and --board. The file needs no network.
    """
    import shlex
    import sys

    from mcusim.cli.output import end, print_json, print_sections
    from mcusim.core import BadArgument
    from mcusim.reporting.page import report as write
    from mcusim.reporting.saved import saved_run
    from mcusim.reporting.subject import Subject, open_trace
    from mcusim.sections.kinds import Command, Section

    first: list[Section] = []
    subject: Subject
    fits = True
    if trace is not None and trace.suffix != o.TOML:
        subject = open_trace(trace)
        first = saved_run(trace) if trace.is_dir() else []
    elif wanted.model is not None and wanted.board is not None:
        subject = plan = wanted.session(wanted.network()).plan(suggest=True)
        fits = plan.fits
    else:
        raise BadArgument("report", "has nothing to report on", "give a TRACE, or --model and --board")
    write(subject, out, first=first, command=shlex.join(["mcusim", *sys.argv[1:]]))
    if json:
        print_json({"out": str(out), "bytes": out.stat().st_size})
    else:
        print_sections([Command(str(out), "written to")])
    end(fits)
