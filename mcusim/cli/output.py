"""Printing: one JSON object for machines, tables for people."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDTH = 100
"""Columns where no terminal says how many there are."""


def print_json(data: dict[str, Any]) -> None:
    """Print one object on stdout; flushed here, so that a full disk is an error and no surprise at exit."""
    sys.stdout.write(json.dumps(data, indent=2) + "\n")
    sys.stdout.flush()


def print_tables(*parts: RenderableType) -> None:
    """Print tables and lines on stdout; plain text of a fixed width where stdout is no terminal."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
    sys.stdout.flush()
