"""``mcusim tour``: which planner or allocator for this trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.cli.completing import offering


def tour(
    trace: Annotated[
        Path,
        typer.Argument(
            help="Trace file, folder of a run, allocation problem, CSV of allocs and frees, log of an RTOS "
            "heap, or memory snapshot of PyTorch.",
            metavar="TRACE",
            autocompletion=offering("trace"),
        ),
    ],
    sram: Annotated[
        str | None, typer.Option(help="Bytes there are, e.g. 192KiB; without them the need is measured.")
    ] = None,
    board: Annotated[
        str | None,
        typer.Option(help="Take the SRAM of this board.", metavar="BOARD", autocompletion=offering("board")),
    ] = None,
    only: Annotated[
        str,
        typer.Option(
            help="Planners and allocators, with commas; all if not given.",
            metavar="NAMES",
            autocompletion=offering("replaying"),
        ),
    ] = "",
    seed: o.Seed = 0,
    plot: o.Plot = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Replay a trace with every planner and on every allocator: peak, fragmentation, failures, time.

    Exits with 3 if none holds it in the SRAM there is.
    """
    from mcusim.cli.output import draw, end, print_json, print_sections, publish_sections
    from mcusim.cli.progress import working
    from mcusim.core import BadArgument
    from mcusim.mcu.board_files import board as find_board
    from mcusim.reporting.subject import open_trace
    from mcusim.traces.tour import tour as tried
    from mcusim.update.spelling import split_list

    if sram is not None and board is not None:
        raise BadArgument("--sram and --board", "both name a size", "give one of them")
    size = sram if board is None else find_board(board).sram_bytes
    file = open_trace(trace)
    with working(f"replaying {trace}"):
        found = tried(file, sram=size, seed=seed, only=split_list(only) if only else (), title=str(trace))
    draw(found, plot)
    publish_sections(found.sections(), html, title=str(trace), glanced=found)
    if json:
        print_json(found.as_dict())
    else:
        print_sections(found.sections())
    end(found.best is not None)
