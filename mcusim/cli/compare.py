"""``mcusim compare``: boards and schemes side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.cli.completing import offering
from mcusim.session.experiment import Experiment

BOARDS = "stm32f746,stm32h743,stm32l4r5,stm32u585,nrf52840,rp2040"


@o.takes_settings(but=("board", "update", "data"))
def compare(
    wanted: Experiment,
    boards: Annotated[
        str, typer.Option(help="Names or TOML files, with commas.", autocompletion=offering("board"))
    ] = BOARDS,
    updates: Annotated[
        str, typer.Option(help="Update schemes, with commas.", autocompletion=offering("update"))
    ] = "head,last-3,dynamic",
    plot: o.Plot = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Say for each scheme on each board: fits, peak, time and energy a step, life of the flash.

    --sram is at most what is used; a board that has less uses all it has.
    """
    from mcusim.cli.output import draw, end, print_json, print_sections, publish_sections
    from mcusim.cli.progress import working
    from mcusim.explore.compare import compare as side_by_side
    from mcusim.mcu.board_files import board
    from mcusim.update.spelling import split_list

    network = wanted.network()
    targets = [board(name.strip()) for name in boards.split(",")]
    with working(f"planning for {len(targets)} boards"):
        found = side_by_side(network.model, targets, split_list(updates), settings=network.settings)
    draw(found, plot)
    publish_sections(found.sections(), html, title=network.model.name, glanced=found)
    if json:
        print_json({**network.as_dict(), **found.as_dict()})
    else:
        print_sections([*network.sections(), *found.sections()])
    end(any(row.plan.fits for row in found.rows))
