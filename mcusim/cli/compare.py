"""``mcusim compare``: boards and schemes side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli import options as o

BOARDS = "stm32f746,stm32h743,stm32l4r5,stm32u585,nrf52840,rp2040"


def compare(
    model: o.ModelName,
    boards: Annotated[str, typer.Option(help="Names or TOML files, with commas.")] = BOARDS,
    updates: Annotated[str, typer.Option(help="Update schemes, with commas.")] = "head,last-3,dynamic",
    sram: Annotated[str | None, typer.Option(help="Use at most so much SRAM, e.g. 256KiB.")] = None,
    classes: o.Classes = 10,
    resolution: o.Resolution = None,
    error: o.Error = "float32",
    weight: o.Weight = "int8-sr",
    bias: o.Bias = "int32",
    feature: o.Feature = "whole",
    head: o.Head = None,
    seed: o.Seed = 0,
    json: o.Json = False,
) -> None:
    """Say for each scheme on each board: fits, peak, time and energy a step, life of the flash."""
    from mcusim.cli.output import end, print_json, print_sections
    from mcusim.cli.sessions import load_network
    from mcusim.explore.compare import compare as side_by_side
    from mcusim.mcu.board_files import board
    from mcusim.update.formats import Formats
    from mcusim.update.spelling import split_list

    formats = Formats(error=error, weight=weight, bias=bias, feature=feature)
    found = side_by_side(
        load_network(model, classes, head, resolution), [board(name.strip()) for name in boards.split(",")],
        split_list(updates), sram=sram, formats=formats, seed=seed,
    )  # fmt: skip
    if json:
        print_json(found.as_dict())
    else:
        print_sections(found.sections())
    end(any(row.plan.fits for row in found.rows))
