"""``mcusim watch``: how a run stands, with curves, while it goes on in another process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcusim.cli import options as o

if TYPE_CHECKING:
    from mcusim.reporting.watching import Watched

PAUSE_S = 1.0
HEIGHT = 5
"""Lines of a curve."""


def watch(
    run: Annotated[Path, typer.Argument(help="Folder that train --out writes.", metavar="RUN")],
    once: Annotated[bool, typer.Option("--once", help="Say how it stands, and end.")] = False,
    json: o.Json = False,
) -> None:
    """Show how a run stands: its curves on a terminal, drawn anew until it is finished (Ctrl-C ends it).

    Where stdout is no terminal it says once how the run stands.
    """
    import sys
    from time import sleep

    from mcusim.cli.output import print_json, print_sections
    from mcusim.reporting.watching import watch as watched

    found = watched(run)
    if json:
        print_json(found.as_dict())
        return
    if not once and not found.finished and sys.stdout.isatty():
        from rich.console import Console
        from rich.live import Live

        console = Console(highlight=False)
        with Live(console=console, transient=True, refresh_per_second=4) as live:
            while not found.finished:
                live.update(drawn(found, console.width))
                sleep(PAUSE_S)
                found = watched(run)
    print_sections(found.sections())


def drawn(found: Watched, width: int) -> Any:
    """Return what rich draws: a headline and a curve a quantity, two beside each other if there is room."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    from mcusim.sections.braille import plotted

    room = max(20, (width // 2 if width >= 80 else width) - 4)
    panels = []
    for curve in found.curves():
        lines = "\n".join(plotted(curve.values, room - 4, HEIGHT))
        said = f"{curve.name}: {curve.text(curve.values[-1])}"
        ends = f"{curve.text(min(curve.values))} to {curve.text(max(curve.values))}"
        panels.append(Panel(Text(lines, style="cyan"), title=said, subtitle=ends, width=room))
    return Group(Text(f"{found.folder}: {found.standing}", style="bold"), Columns(panels, padding=(0, 1)))
