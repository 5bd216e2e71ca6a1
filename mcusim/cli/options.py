"""Options that several verbs have, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelName = Annotated[
    str,
    typer.Option("--model", "-m", help="Name (see: mcusim models) or path of a network.", metavar="MODEL"),
]
BoardName = Annotated[
    str, typer.Option("--board", "-b", help="Name (see: mcusim boards) or TOML file.", metavar="BOARD")
]
Update = Annotated[
    str,
    typer.Option("--update", "-u", metavar="SCHEME",
        help="What learns: none (inference alone), head, bias, last-6, dense, static:NAME, dynamic, …"),
]  # fmt: skip
Sram = Annotated[
    str | None, typer.Option("--sram", help="SRAM to use, e.g. 256KiB; all of the board's if not given.")
]
Classes = Annotated[
    int | None,
    typer.Option(help="Classes to tell apart; a network with another number gets a fresh head.", min=1),
]
Resolution = Annotated[
    int | None, typer.Option(help="Side of the images in pixels, if not the one the network was made for.")
]
Error = Annotated[str, typer.Option(help="Format of error tensors: float32, int16 or int8.")]
Weight = Annotated[str, typer.Option(help="Format of learning weights: int8, int8-sr, int8+res8 or float32.")]
Bias = Annotated[str, typer.Option(help="Format of learning biases: int32, int32-sr or int32+res8.")]
Feature = Annotated[
    str,
    typer.Option(help="Pixels of saved features to keep: whole, checker, row-2 to row-4, grid-2 to grid-4."),
]
Head = Annotated[
    str | None, typer.Option(help="Give the network a fresh head of this format: float32 or int8.")
]
ResidencyName = Annotated[
    str, typer.Option("--residency", help="Where layers that can learn live: sram, flash or auto.")
]
PatchStage = Annotated[str, typer.Option("--patches", help="Patch-based first stage: auto, off or COUNT:OP.")]
Planner = Annotated[str, typer.Option(help="Static planner that places the tensors.")]
AllocatorName = Annotated[
    str | None, typer.Option("--allocator", help="Serve the step with a dynamic allocator, as a heap would.")
]
ProfileName = Annotated[
    str | None, typer.Option("--profile", help="Cycle profile; the board's own if not given.")
]
Seed = Annotated[int, typer.Option(help="Seed of everything that is drawn.", min=0)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Rate = Annotated[float, typer.Option("--lr", help="Learning rate.")]
Momentum = Annotated[float, typer.Option(help="Momentum; costs a float32 a learning number.")]
Accumulate = Annotated[int, typer.Option(help="Steps whose gradients are summed before an update.")]
Out = Annotated[Path | None, typer.Option(help="Folder for checkpoints and results.", metavar="DIR")]
