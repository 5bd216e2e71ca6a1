"""``mcusim prune``: a float network with fewer channels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o


def prune(
    model: Annotated[str, typer.Argument(help="Float network: a name or a file that quantize takes.")],
    ratio: Annotated[float, typer.Option(help="Fraction of the channels of each group to remove.")] = 0.5,
    multiple: Annotated[int, typer.Option(help="Keep a multiple of so many channels.", min=1)] = 8,
    side: Annotated[int | None, typer.Option(help="Also change the input to so many pixels a side.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; NAME.npz if not given.")] = None,
    json: o.Json = False,
) -> None:
    """Remove the channels of smallest norm, in groups that depend on each other (DepGraph).

    The result is a float network; retrain it where you can, then quantise it with mcusim quantize.
    """
    from mcusim.cli.output import print_json, print_tables
    from mcusim.importers.load import load
    from mcusim.importers.npz import save
    from mcusim.importers.prune import groups
    from mcusim.importers.prune import prune as pruned
    from mcusim.importers.quantize.fold import fold

    before = fold(load(model))
    after = pruned(before, ratio, multiple=multiple, side=side)
    path = out or Path(f"{after.name}.npz")
    save(after, path)
    facts = {
        "name": after.name,
        "groups": len(groups(before)),
        "conv_weights_before": before.conv_weights,
        "conv_weights": after.conv_weights,
        "input": list(after.input.shape),
        "out": str(path),
    }
    if json:
        print_json(facts)
        return
    print_tables(
        f"{facts['groups']} groups of channels; convolution weights {before.conv_weights:,} -> "
        f"{after.conv_weights:,}; input {'x'.join(map(str, after.input.shape))}",
        str(path),
    )
