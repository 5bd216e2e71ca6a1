"""``mcusim firmware``: the training step of a plan as C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.session.experiment import Experiment


@o.takes_settings(but=("data",))
def firmware(
    wanted: Experiment,
    out: Annotated[Path, typer.Option("--out", "-o", help="A new folder.", metavar="DIR")],
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Write a training step as a folder of C: kernels, the tables of its plan, builds, how to use them."""
    from mcusim.cli.output import print_json, print_sections, publish_sections

    network = wanted.network()
    found = wanted.session(network).firmware(out)
    publish_sections([*network.sections(), *found.sections()], html, title=str(out))
    if json:
        print_json({**network.as_dict(), **found.as_dict()})
    else:
        print_sections([*network.sections(), *found.sections()])
