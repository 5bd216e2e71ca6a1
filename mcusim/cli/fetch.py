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
    from mcusim.cli.progress import working
    from mcusim.core.counted import tell
    from mcusim.files import fetch as download

    console = Console(stderr=True)
    if console.is_terminal:
        with Progress(
            "{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(),
            TimeRemainingColumn(), console=console, transient=True,
        ) as bar:  # fmt: skip
            task = bar.add_task(name, total=None)
            path = download.fetch(
                name, progress=lambda done, total: bar.update(task, completed=done, total=total)
            )
    else:
        with working(f"fetching {name}, bytes"):
            path = download.fetch(name, progress=tell)
    if json:
        print_json({"name": name, "path": str(path)})
    else:
        sys.stdout.write(f"{path}\n")
