"""``mcusim show``: what a network is, layer by layer, and what each layer costs to learn."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.cli.completing import offering
from mcusim.core.chosen import leaves
from mcusim.session.experiment import Experiment

OF_NETWORK = ("classes", "head", "resolution", "pixels", "adapters", "arithmetic")


@o.takes_settings(but={item.name for item in leaves(Experiment)} - {*OF_NETWORK}, file=None)
def show(
    wanted: Experiment,
    model: Annotated[
        str,
        typer.Argument(
            help="Name (see: mcusim models) or path of a network.",
            metavar="MODEL",
            autocompletion=offering("model"),
        ),
    ],
    json: o.Json = False,
) -> None:
    """List the layers of a network: shape, weights, work, what may learn, what each costs, and why not.

    Needs no board, and takes every network that can be loaded, float ones and those without a head too.
    """
    from mcusim.cli.output import print_json, print_sections
    from mcusim.explore.layers import show as shown

    network = replace(wanted, model=model).network()
    found = shown(network.model)
    if json:
        print_json({**network.as_dict(), **found.as_dict()})
    else:
        print_sections([*network.sections(), *found.sections()])
