"""``mcusim replay``: the memory behaviour of a trace again, without the network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.cli.completing import offering


def replay(
    trace: Annotated[
        Path,
        typer.Argument(
            help="Trace file, folder of a run, or allocation problem (.csv).",
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
    planner: Annotated[
        str | None,
        typer.Option(help="Lay it out anew with this static planner.", autocompletion=offering("planner")),
    ] = None,
    allocator: Annotated[
        str | None,
        typer.Option(help="Serve it with this dynamic allocator.", autocompletion=offering("allocator")),
    ] = None,
    seed: o.Seed = 0,
    plot: o.Plot = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Replay a trace in another SRAM, with another planner, or on a dynamic allocator.

    Exits with 3 if it does not fit, and says at which event, what is live there, and when most is.
    """
    from mcusim.cli.output import draw, print_json, print_sections, publish
    from mcusim.cli.progress import working
    from mcusim.core import BadArgument, OutOfSram
    from mcusim.mcu.board_files import board as find_board
    from mcusim.reporting.subject import open_trace
    from mcusim.sections.kinds import Headline
    from mcusim.traces.replay import replay as run

    if sram is not None and board is not None:
        raise BadArgument("--sram and --board", "both name a size", "give one of them")
    size = sram if board is None else find_board(board).sram_bytes
    file = open_trace(trace)
    try:
        with working(f"replaying {trace}"):
            found = run(file, sram=size, planner=planner, allocator=allocator, seed=seed)
    except OutOfSram as error:
        if json:
            print_json(
                {
                    "fits": False, "sram_bytes": error.capacity_bytes, "needed_bytes": error.needed_bytes,
                    "missing_bytes": error.missing_bytes, "where": error.where, "fullest": error.fullest,
                    "largest_hole_bytes": error.largest_hole_bytes,
                    "live": [{"tensor": b.name, "role": b.role, "bytes": b.bytes} for b in error.live],
                }
            )  # fmt: skip
        raise
    draw(found, plot)
    publish(file, html)
    if json:
        print_json(found.as_dict())
        return
    print_sections([Headline(str(trace)), *found.sections()])
