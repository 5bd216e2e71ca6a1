"""``mcusim train``: a network learns inside a board's memory."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli import options as o


def train(
    model: o.ModelName,
    board: o.BoardName,
    data: Annotated[
        str, typer.Option(help="cifar10, synthetic, a folder (CIFAR-10, pictures, .npy) or a .npz file.")
    ] = "cifar10",
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 1,
    update: o.Update = "dynamic",
    sram: o.Sram = None,
    classes: o.Classes = None,
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
    lr: o.Rate = 0.01,
    momentum: o.Momentum = 0.0,
    accumulate: o.Accumulate = 1,
    warmup: Annotated[float, typer.Option(help="Epochs over which the learning rate rises.")] = 0.0,
    schedule: Annotated[str, typer.Option(help="Learning rate over time: cosine or constant.")] = "cosine",
    flip: Annotated[bool, typer.Option("--flip", help="Mirror half of the training images.")] = False,
    shift: Annotated[int, typer.Option(help="Shift training images by up to so many pixels.")] = 0,
    zoom: Annotated[float, typer.Option(help="Cut up to this part off the sides of training images.")] = 0.0,
    variants: Annotated[int, typer.Option(help="Different views of each training image; 0: a few.")] = 0,
    trace: Annotated[str, typer.Option(help="Record the first step, all (needs --out), or off.")] = "first",
    limit: Annotated[int | None, typer.Option(help="Only so many steps an epoch.")] = None,
    out: o.Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    seed: o.Seed = 0,
    json: o.Json = False,
) -> None:
    """Train at batch 1 inside the board's SRAM, and say what came of it."""
    from mcusim.cli.output import print_json, print_sections
    from mcusim.cli.progress import training_bar
    from mcusim.cli.sessions import load_network, session
    from mcusim.data.augment import Augmentation
    from mcusim.data.named import open_data

    images = open_data(data)
    found = session(
        load_network(model, classes or images.classes, head, resolution), board, update, error=error,
        weight=weight, bias=bias, feature=feature, lr=lr, momentum=momentum, accumulate=accumulate, sram=sram,
        residency=residency, patches=patches, planner=planner, allocator=allocator, profile=profile,
        seed=seed,
    )  # fmt: skip
    with training_bar(wanted=not json) as report:
        run = found.train(
            images, epochs, out=out, resume=resume,
            augmentation=Augmentation(flip=flip, shift=shift, count=variants, zoom=zoom),
            warmup=warmup, schedule=schedule, trace=trace, limit=limit, progress=report,
        )  # fmt: skip
    if json:
        print_json({**run.as_dict(), "images_per_s": run.images_per_s})
        return
    print_sections(run.sections())
