"""``mcusim diff``: two runs, plans or traces side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.session.experiment import Experiment

SIDE = "Trace file, folder of a run or, with --model and --board, an update scheme."


@o.takes_settings(but=("update", "data"), file=None)
def diff(
    wanted: Experiment,
    left: Annotated[str, typer.Argument(help=SIDE)],
    right: Annotated[str, typer.Argument(help=SIDE)],
    json: o.Json = False,
) -> None:
    """Compare bytes and cycles of two runs, plans or traces: in total, per role, per phase, per op."""
    from mcusim.cli.output import print_json, print_sections
    from mcusim.cli.subjects import subject
    from mcusim.reporting.diff import diff as compare

    found = compare(subject(left, wanted), subject(right, wanted), names=(left, right))
    if json:
        print_json(found.as_dict())
    else:
        print_sections(found.sections())
