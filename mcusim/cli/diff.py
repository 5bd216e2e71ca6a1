"""``mcusim diff``: two runs, plans or traces side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli import options as o

SIDE = "Trace file, folder of a run or, with --model and --board, an update scheme."


def diff(
    left: Annotated[str, typer.Argument(help=SIDE)],
    right: Annotated[str, typer.Argument(help=SIDE)],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Network to plan.", metavar="MODEL")
    ] = None,
    board: Annotated[str | None, typer.Option("--board", "-b", help="Board to plan for.")] = None,
    sram: o.Sram = None,
    classes: o.Classes = 10,
    seed: o.Seed = 0,
    json: o.Json = False,
) -> None:
    """Compare bytes and cycles of two runs, plans or traces: in total, per role, per phase, per op."""
    from mcusim.cli.output import print_json, print_sections
    from mcusim.cli.subjects import subject
    from mcusim.report.diff import diff as compare

    sides = [subject(name, model, board, sram=sram, classes=classes, seed=seed) for name in (left, right)]
    found = compare(*sides, names=(left, right))
    if json:
        print_json(found.as_dict())
    else:
        print_sections(found.sections())
