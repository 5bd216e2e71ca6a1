"""``mcusim search``: which layers, channels and formats gain most in so much SRAM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcusim.cli import options as o

if TYPE_CHECKING:
    from mcusim.graph import Model
    from mcusim.mcu.board import Board
    from mcusim.update.ranking import Ranking


def search(
    model: o.ModelName,
    board: o.BoardName,
    sram: o.Sram = None,
    data: Annotated[
        str, typer.Option(help="Some task to see gradients on: cifar10, synthetic, a folder, a .npz file.")
    ] = "cifar10",
    analysis: Annotated[
        Path | None,
        typer.Option(help="Gradient norms: read if the file is there, else made from --data and kept."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Training steps of the analysis.", min=1)] = 1000,
    blocks: Annotated[
        int | None, typer.Option(help="Most last blocks that may learn; all if not given.", min=1)
    ] = None,
    ratio: Annotated[
        float | None, typer.Option(help="Most of the weights that may learn in a step, e.g. 0.02.")
    ] = None,
    channels: Annotated[
        float, typer.Option(help="Most of one layer's channels that may learn at a time, e.g. 0.25.")
    ] = 1.0,
    stage: Annotated[int, typer.Option(help="Steps between redraws of the channels.", min=1)] = 200,
    error: Annotated[str, typer.Option(help="Allowed formats of errors, preferred first.")] = "float32,int16",
    weight: Annotated[str, typer.Option(help="Allowed formats of learning weights.")] = "int8+res8",
    bias: o.Bias = "int32+res8",
    feature: o.Feature = "whole",
    classes: o.Classes = None,
    resolution: o.Resolution = None,
    head: o.Head = None,
    residency: o.ResidencyName = "auto",
    patches: o.PatchStage = "auto",
    rows: Annotated[int, typer.Option(help="Rows of the table.", min=1)] = 10,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON object here.", metavar="FILE")] = None,
    seed: o.Seed = 0,
    json: o.Json = False,
) -> None:
    """Choose layers, channels, formats, residency and patches for a budget, by expected gain.

    The gain of a selection is its share of the network's gradient norm, times the part of the time that
    its channels learn. It knows nothing of rounding, which costs 8-bit weights more than it saves: allow
    them with --weight where nothing else fits. The winner's options go to plan and train.
    """
    from mcusim.cli.output import print_json, print_sections
    from mcusim.cli.sessions import load_network, session
    from mcusim.core.files import replacing
    from mcusim.explore.search import search as searched
    from mcusim.mcu.board_files import board as find_board

    errors, weights = ([word.strip() for word in text.split(",")] for text in (error, weight))
    target = find_board(board)
    network = load_network(model, _classes(classes, analysis, data), head, resolution)
    settings = session(
        network, board, "head", error=errors[0], weight=weights[0], bias=bias,
        feature=feature, sram=sram, residency=residency, patches=patches, seed=seed,
    ).settings  # fmt: skip
    ranking = _ranking(network, target, analysis, data, steps, seed)
    found = searched(
        network, target, ranking, settings, blocks=blocks, stage=stage, ratio=ratio, channels=channels,
        errors=errors, weights=weights,
    )  # fmt: skip
    result = {**found.as_dict(), "analysis": None if analysis is None else str(analysis)}
    if out is not None:
        from json import dumps

        with replacing(out) as file:
            file.write(dumps(result, indent=1).encode() + b"\n")
    if json:
        print_json(result)
        return
    print_sections(found.sections(rows))


def _classes(classes: int | None, analysis: Path | None, data: str) -> int | None:
    if classes is not None or (analysis is not None and analysis.exists()):
        return classes
    from mcusim.data.named import open_data

    return open_data(data).classes


def _ranking(
    network: Model, board: Board, analysis: Path | None, data: str, steps: int, seed: int
) -> Ranking:
    from mcusim.update.ranking import Ranking

    if analysis is not None and analysis.exists():
        return Ranking.load(analysis)
    from mcusim.data.named import open_data
    from mcusim.explore.sensitivity import sensitivity

    found = sensitivity(network, board, open_data(data), steps=steps, seed=seed)
    if analysis is not None:
        found.save(analysis)
    return found
