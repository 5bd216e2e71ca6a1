"""``mcusim prune``: a float network with fewer channels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.cli.completing import offering


def prune(
    model: Annotated[
        str,
        typer.Argument(
            help="Float network: a name or a file that quantize takes.", autocompletion=offering("model")
        ),
    ],
    ratio: Annotated[float, typer.Option(help="Fraction of the channels of each group to remove.")] = 0.5,
    multiple: Annotated[int, typer.Option(help="Keep a multiple of so many channels.", min=1)] = 8,
    residual: Annotated[bool, typer.Option(help="Also prune what residual additions tie together.")] = True,
    data: Annotated[
        str | None,
        typer.Option(
            help="Pictures to refit the weights on, without labels: as for quantize.",
            autocompletion=offering("data"),
        ),
    ] = None,
    images: Annotated[int, typer.Option(help="Pictures to refit the weights on.", min=1)] = 512,
    resolution: o.Resolution = None,
    out: Annotated[Path | None, typer.Option(help="File to write; NAME.npz if not given.")] = None,
    seed: o.Seed = 0,
    json: o.Json = False,
) -> None:
    """Remove the least important channels, in groups that depend on each other (DepGraph).

    With --data the weights that are left are refitted, layer by layer, to give what the whole network gave.
    The result is a float network; quantise it with mcusim quantize.
    """
    from mcusim.cli.output import print_json, print_sections
    from mcusim.cli.progress import working
    from mcusim.compress.floating import floating
    from mcusim.compress.prune import groups
    from mcusim.compress.prune import prune as pruned
    from mcusim.compress.quantize.fold import fold
    from mcusim.data.named import open_for
    from mcusim.files.npz import save
    from mcusim.graph.resolution import at_resolution
    from mcusim.sections.kinds import Command, Facts, Headline

    before = fold(floating(model))
    if resolution is not None:
        before = at_resolution(before, resolution)
    pictures = None if data is None else open_for(before, data)
    with working("pruning" if pictures is None else "pruning, refitting layer by layer"):
        after = pruned(
            before, ratio, multiple=multiple, residual=residual, inputs=pictures, images=images, seed=seed
        )
    count = 0 if pictures is None else min(images, len(pictures.train))
    path = out or Path(f"{after.name}.npz")
    save(after, path)
    facts = {
        "name": after.name,
        "groups": len(groups(before)),
        "conv_weights_before": before.conv_weights,
        "conv_weights": after.conv_weights,
        "input": list(after.input.shape),
        "refitted": pictures is not None,
        "out": str(path),
    }
    if json:
        print_json(facts)
        return
    rows = (
        ("groups", f"{facts['groups']} of channels that depend on each other"),
        ("convolution weights", f"{before.conv_weights:,} before, {after.conv_weights:,} now"),
        ("input", "x".join(map(str, after.input.shape))),
        ("weights", "as they were" if pictures is None else f"refitted on {count:,} pictures"),
    )
    print_sections([Headline(after.name), Facts(rows), Command(str(path), "written to")])
