"""``mcusim plan``: does it fit, and what is the peak made of. Needs no data, takes no time."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.session.experiment import Experiment


@o.takes_settings(but=("data",))
def plan(
    wanted: Experiment,
    steps: Annotated[
        int | None,
        typer.Option(help="Also say what a session of so many steps would cost.", min=0, metavar="N"),
    ] = None,
    suggest: Annotated[bool, typer.Option(help="Also re-plan and say what would lower the peak.")] = True,
    smallest: Annotated[
        bool, typer.Option(help="Look for the least SRAM instead of planning for --sram: patches, residency.")
    ] = False,
    measured: Annotated[
        str | None,
        typer.Option(
            help="Runtime and code as measured: of mcusim twin --json, or of the shipped kernels on a core.",
            metavar="FILE|CORE",
        ),
    ] = None,
    fitted: Annotated[
        bool,
        typer.Option(help="Runtime and code as fitted to X-CUBE-AI: they grow with the network."),
    ] = False,
    plot: o.Plot = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Say whether a training step fits, what its peak is made of, and how long it would take."""
    from mcusim.cli.output import draw, end, print_json, print_sections, publish
    from mcusim.cli.progress import working

    network = wanted.network()
    session = wanted.session(network)
    if measured is not None:
        session.board = session.board.with_measured(measured)
    elif fitted:
        session.board = session.board.with_fitted()
    with working("planning"):
        found = session.smallest() if smallest else session.plan(suggest=suggest or None)
    draw(found, plot)
    publish(found, html)
    cost = None if steps is None else session.cost(steps)
    if json:
        whole = {} if cost is None else {"session": cost.as_dict()}
        if (step := found.measured()) is not None:
            whole["measured"] = step
        schema = {"schema": "mcusim.plan/1"}
        print_json(
            {
                **schema,
                **network.as_dict(),
                **found.as_dict(),
                **whole,
                "suggestions": list(found.suggestions),
            }
        )
    else:
        print_sections([*network.sections(), *found.sections(), *([] if cost is None else cost.sections())])
    end(found.fits)
