"""``mcusim fetch``: download a public model or data set, verified."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.cli.completing import offering


def fetch(
    name: Annotated[
        str, typer.Argument(help="A name that mcusim models lists.", autocompletion=offering("download"))
    ],
    json: o.Json = False,
) -> None:
    """Download a public model or data set into the user's cache; whole and verified, or not at all."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from mcusim.cli.output import print_json
    from mcusim.files import fetch as download

    console = Console(stderr=True)
    with Progress(
        "{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TimeRemainingColumn(), console=console, transient=True, disable=json or not console.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task(name, total=None)
        path = download.fetch(
            name, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    if json:
        print_json({"name": name, "path": str(path)})
    else:
        sys.stdout.write(f"{path}\n")
