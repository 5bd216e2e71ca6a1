"""``mcusim export``: a trace for viewers people already have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    trace: Annotated[
        Path,
        typer.Argument(help="Trace file, folder of a run, or allocation problem (.csv).", metavar="TRACE"),
    ],
    out: Annotated[Path, typer.Argument(help="File to write.", metavar="FILE")],
    form: Annotated[
        str,
        typer.Option(
            "--to", help="perfetto (ui.perfetto.dev), memory_viz (pytorch.org/memory_viz) or minimalloc."
        ),
    ] = "perfetto",
) -> None:
    """Write a trace in a form that another program opens."""
    from mcusim.reporting.subject import open_trace
    from mcusim.traces.export import export as write

    typer.echo(write(open_trace(trace), out, form))
