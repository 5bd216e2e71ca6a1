"""``mcusim export``: a trained network for a device's tools, a trace for viewers people already have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli.completing import offering


def export(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder of a run, file of a network, trace file, or allocation problem (.csv).",
            metavar="SOURCE",
            autocompletion=offering("trace"),
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            help="File to write; .tflite, .onnx or .npz: the network, else the trace.", metavar="FILE"
        ),
    ],
    form: Annotated[
        str,
        typer.Option(
            "--to", help="perfetto (ui.perfetto.dev), memory_viz (pytorch.org/memory_viz) or minimalloc."
        ),
    ] = "perfetto",
    like: Annotated[
        Path | None,
        typer.Option(
            help="The .tflite file whose weights alone are to change; the one a run began with if not given.",
            metavar="FILE",
        ),
    ] = None,
) -> None:
    """Write a trained network, or a trace, in a form that another program opens."""
    from mcusim.session.exporting import export_network, is_network

    if is_network(out):
        typer.echo(export_network(source, out, like))
        return
    from mcusim.reporting.subject import open_trace
    from mcusim.traces.export import export as write

    typer.echo(write(open_trace(source), out, form))
