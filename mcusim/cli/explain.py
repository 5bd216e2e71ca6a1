"""``mcusim explain``: what the peak is made of, and what would lower it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o


def explain(
    trace: Annotated[
        Path | None, typer.Argument(help="Trace file, or the folder of a run.", metavar="TRACE")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Or plan this network …", metavar="MODEL")
    ] = None,
    board: Annotated[
        str | None, typer.Option("--board", "-b", help="… on this board.", metavar="BOARD")
    ] = None,
    update: o.Update = "dynamic",
    sram: o.Sram = None,
    classes: o.Classes = 10,
    resolution: o.Resolution = None,
    error: o.Error = "float32",
    weight: o.Weight = "int8-sr",
    bias: o.Bias = "int32",
    feature: o.Feature = "whole",
    residency: o.ResidencyName = "auto",
    patches: o.PatchStage = "auto",
    planner: o.Planner = "best",
    seed: o.Seed = 0,
    json: o.Json = False,
) -> None:
    """Say when the peak is, which op and tensors make it up, what is holes, and what would lower it.

    Suggestions come from planning again, so they need --model and --board rather than a trace.
    """
    from mcusim.cli.output import end, print_json, print_sections
    from mcusim.cli.subjects import plan, trace_file
    from mcusim.core import BadArgument
    from mcusim.planning.facts import flash_shares
    from mcusim.sections.kinds import Section

    flash: dict[str, object] = {}
    more: list[Section] = []
    fits = True
    if trace is not None:
        from mcusim.traces.explanation import explain_trace

        found = explain_trace(trace_file(trace))
    elif model is not None and board is not None:
        planned = plan(
            model, board, update, suggest=True, classes=classes, resolution=resolution, error=error,
            weight=weight, bias=bias, feature=feature, sram=sram, residency=residency, patches=patches,
            planner=planner, seed=seed,
        )  # fmt: skip
        found, fits = planned.explain(), planned.fits
        flash = {"flash": planned.as_dict()["flash"]}
        more = [flash_shares(planned.flash)]
    else:
        raise BadArgument("explain", "has nothing to explain", "give a TRACE, or --model and --board")
    if json:
        print_json({**found.as_dict(), **flash})
    else:
        print_sections([*found.sections(), *more])
    end(fits)
