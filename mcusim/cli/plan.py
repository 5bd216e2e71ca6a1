"""``mcusim plan``: does it fit, and what is the peak made of. Needs no data, takes no time."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli import options as o


def plan(
    model: o.ModelName,
    board: o.BoardName,
    update: o.Update = "dynamic",
    sram: o.Sram = None,
    classes: o.Classes = 10,
    resolution: o.Resolution = None,
    error: o.Error = "float32",
    weight: o.Weight = "int8-sr",
    bias: o.Bias = "int32",
    feature: o.Feature = "whole",
    head: o.Head = None,
    residency: o.ResidencyName = "auto",
    patches: o.PatchStage = "auto",
    planner: o.Planner = "best",
    allocator: o.AllocatorName = None,
    profile: o.ProfileName = None,
    momentum: o.Momentum = 0.0,
    accumulate: o.Accumulate = 1,
    seed: o.Seed = 0,
    steps: Annotated[
        int | None,
        typer.Option(help="Also say what a session of so many steps would cost.", min=0, metavar="N"),
    ] = None,
    suggest: Annotated[bool, typer.Option(help="Also re-plan and say what would lower the peak.")] = True,
    json: o.Json = False,
) -> None:
    """Say whether a training step fits, what its peak is made of, and how long it would take."""
    from mcusim.cli.output import end, print_json, print_sections
    from mcusim.cli.sessions import load_network, session

    network = load_network(model, classes, head, resolution)
    wanted = session(
        network, board, update, error=error, weight=weight, bias=bias, feature=feature, momentum=momentum,
        accumulate=accumulate, sram=sram, residency=residency, patches=patches, planner=planner,
        allocator=allocator, profile=profile, seed=seed,
    )  # fmt: skip
    found = wanted.plan(suggest=suggest)
    cost = None if steps is None else wanted.cost(steps)
    if json:
        whole = {} if cost is None else {"session": cost.as_dict()}
        print_json({**found.as_dict(), **whole, "suggestions": list(found.suggestions)})
    else:
        print_sections([*found.sections(), *([] if cost is None else cost.sections())])
    end(found.fits)
