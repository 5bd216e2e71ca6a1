"""``mcusim search``: which layers, channels and formats gain most in so much SRAM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcusim.cli import options as o
from mcusim.core import BadArgument
from mcusim.session.experiment import Experiment

if TYPE_CHECKING:
    from mcusim.graph import Model
    from mcusim.mcu.board import Board
    from mcusim.update.ranking import Ranking


@o.takes_settings(
    but=("update", "error", "weight", "evaluate", "trace"),
    defaults={"bias": "int32+res8", "epochs": "2"},
)  # fmt: skip
def search(
    wanted: Experiment,
    analysis: Annotated[
        Path | None,
        typer.Option(help="Gradient norms: read if the file is there, else made from --data and kept."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Training steps of the analysis.", min=1)] = 1000,
    rows: Annotated[int, typer.Option(help="Rows of the table.", min=1)] = 10,
    train: Annotated[
        Path | None,
        typer.Option(help="Train the best options in this folder, and choose by that.", metavar="DIR"),
    ] = None,
    most: Annotated[
        int, typer.Option(help="Options to train: the best, and others least like it.", min=1)
    ] = 6,
    around: Annotated[
        int, typer.Option(help="Options to train after them: those most like the best.", min=0)
    ] = 3,
    rates: Annotated[str, typer.Option(help="Learning rates to train with, with commas.")] = "0.003,0.01",
    also: Annotated[str, typer.Option(help="Update schemes to train beside them, with commas.")] = "",
    seeds: Annotated[
        int, typer.Option(help="Seeds to train each with, from --seed on; compared by the mean.", min=1)
    ] = 1,
    workers: Annotated[int, typer.Option(help="Processes that train, one core each.", min=1)] = 1,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON object here.", metavar="FILE")] = None,
    plot: o.Plot = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Choose layers, channels, formats, residency and patches for a budget, by expected gain.

    The gain of a selection is its share of the network's gradient norm, times the part of the time that
    its channels learn. It knows nothing of rounding, which costs 8-bit weights more than it saves: allow
    them with --weights where nothing else fits. Of --resolutions it knows nothing either: let --train
    decide. The winner's options go to plan and train.

    --train settles it by short trainings on a validation part, a tenth if not said: layers, biases and
    learning rate are those that learned best. All train for one epoch, the best third for three, a third of
    those for nine, none beyond --epochs. Options that differ are trained, not those of largest gain alone;
    then those most like the best of them. The test examples are not looked at.
    """
    from mcusim.cli.output import draw, print_json, print_sections, publish_sections
    from mcusim.cli.progress import working
    from mcusim.core.files import replacing
    from mcusim.explore.search import search as searched

    network, target = wanted.network(), wanted.target()
    with working("measuring gradients"):
        ranking = _ranking(wanted, network.settings.part(network.model), target, analysis, steps)
    with working("planning selections"):
        found = searched(network.model, target, ranking, network.settings, space=wanted.search)
    result = {**network.as_dict(), **found.as_dict(), "analysis": None if analysis is None else str(analysis)}
    draw(found, plot)
    publish_sections(found.sections(len(found.options)), html, title=network.model.name, glanced=found)
    if out is not None:
        from json import dumps

        with replacing(out) as file:
            file.write(dumps(result, indent=1, allow_nan=False).encode() + b"\n")
    if train is None:
        if json:
            print_json(result)
            return
        print_sections([*network.sections(), *found.sections(rows)])
        return
    from mcusim.cli.study_progress import study_table
    from mcusim.studies.refine import refine, refined
    from mcusim.update.spelling import split_list

    with study_table(wanted=not json) as tell:
        study = refine(
            found, wanted, train, most=most, around=around, rates=_numbers(rates), seeds=seeds,
            also=split_list(also) if also else (), workers=workers, progress=tell,
        )  # fmt: skip
    if json:
        print_json({**result, "trained": study.as_dict()})
    else:
        print_sections([*network.sections(), *found.sections(rows), *refined(study)])


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError as error:
        raise BadArgument(f"--rates {text!r}", "are not numbers", "e.g. 0.003,0.01") from error


def _ranking(wanted: Experiment, network: Model, board: Board, analysis: Path | None, steps: int) -> Ranking:
    from mcusim.update.ranking import Ranking

    if analysis is not None and analysis.exists():
        return Ranking.load(analysis)
    from mcusim.explore.sensitivity import sensitivity

    found = sensitivity(network, board, wanted.dataset(network), steps=steps, seed=wanted.seed)
    if analysis is not None:
        found.save(analysis)
    return found
