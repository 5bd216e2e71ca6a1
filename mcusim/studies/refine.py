"""The last word of a search: selections that differ, and others chosen by hand, in short real trainings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from mcusim.core import BadArgument
from mcusim.core.chosen import arguments
from mcusim.explore.found import Found, Option
from mcusim.planning.settings import Settings
from mcusim.sections.kinds import Command, Facts, Section
from mcusim.session.experiment import Experiment
from mcusim.studies.result import StudyResult
from mcusim.studies.study import Study
from mcusim.studies.sweep import Standing, sweep
from mcusim.update.scheme import scheme

NAME = "search"
VALIDATION = 0.1


def refine(
    found: Found,
    wanted: Experiment,
    out: str | Path,
    *,
    most: int = 6,
    around: int = 3,
    rates: Sequence[float] = (0.003, 0.01),
    also: Sequence[str] = (),
    seeds: int = 1,
    rungs: Sequence[int] | None = None,
    keep: float = 1 / 3,
    workers: int = 1,
    progress: Callable[[Standing], None] | None = None,
) -> StudyResult:
    """Train selections of a search a little, and the best of those a little more.

    Expected gain knows nothing of rounding, of biases and of how layers help each other; a short training
    does. So the selections that are tried are not those of largest gain alone, which are alike.
    Selections and learning rates are compared by successive halving on a validation part; then those
    most like the best of them have their turn, whether it is the search's own or one chosen by hand. The
    test examples are never looked at, so that what is chosen can be trained and tested once.

    Args:
        found: of ``search``; its options are planned and fit.
        wanted: network, board, data and training; a tenth of the training examples is held out if nothing
            else is said.
        out: folder of the study that keeps the runs; going on with it repeats nothing.
        most: how many of the options are tried: the one of largest gain, and others least like it.
        around: how many more are tried then: those most like the one that learned best.
        rates: learning rates each is tried with.
        also: update schemes to try beside them, in the formats of the best option.
        seeds: with how many seeds each is trained, from that of ``wanted`` on; they are compared by the mean.
        rungs: epochs after which only the best part goes on; 1, 3, 9 … if not given, those below the epochs
            of the training.
        keep: that part.
        workers: processes.
        progress: called when something has changed.

    Returns:
        The study; its ``best`` is what to train.

    Raises:
        BadArgument: if there is nothing to compare, ``around`` is below 0, or ``seeds`` below 1.
        OutOfSram, BadRun: as ``sweep``.
    """
    if around < 0:
        raise BadArgument(f"around {around}", "is less than 0", "give 0 to try no more")
    if seeds < 1:
        raise BadArgument(f"seeds {seeds}", "is less than 1", "give how many each option is trained with")
    tried = found.varied(most)
    choices = [_choice(number, option) for number, option in enumerate(tried, 1)]
    best = found.best.plan.settings.formats.as_dict()
    best.pop("head", None)
    for update, side in product(also, dict.fromkeys(option.resolution for option in found.options)):
        choices.append({"label": update + _at(side), "update": update, "formats": best, **_sized(side)})
    if len(choices) * len(rates) < 2:
        raise BadArgument("a search by training", "has one choice", "try more options or rates")
    recipe = wanted.training
    held = recipe.validation or VALIDATION
    recipe = replace(recipe, evaluate="never", validation=held, trace="off")
    base = replace(wanted, training=recipe, note="").as_dict()
    base = {name: value for name, value in base.items() if name not in ("note", "update", "residency")}
    base["formats"] = {name: value for name, value in base["formats"].items() if name != "head"}
    drawn = list(range(wanted.seed, wanted.seed + seeds))
    if rungs is None:
        rungs = [3**rung for rung in range(recipe.epochs.bit_length())]
    early = [epochs for epochs in rungs if epochs < recipe.epochs]
    about: dict[str, Any] = {
        "name": NAME, "base": _plain(base),
        "note": f"options of search on {found.board.name} in {found.sram_bytes:,} B",
    }  # fmt: skip
    if early:
        about["halving"] = {"epochs": early, "keep": keep}

    def trained() -> StudyResult:
        study = Study.read({**about, "axes": {"choice": choices, "lr": list(rates), "seed": drawn}})
        return sweep(study, out, workers=workers, extend=True, progress=progress)

    result = trained()
    by_choice = {(option.update, option.resolution or wanted.resolution): option for option in tried}
    leader = result.means[0].points[0].experiment
    option = by_choice.get((leader.update, leader.resolution))
    if option is not None:
        more = found.near(option, around, tried)
    else:  # by hand
        more = found.like(scheme(leader.update).scope(found.model), around, tried, leader.resolution)
    if not more:
        return result
    choices += [_choice(number, option) for number, option in enumerate(more, len(tried) + 1)]
    return trained()


def _choice(number: int, option: Option) -> dict[str, Any]:
    """Return an option as a point of the study's axis."""
    settings = option.plan.settings
    formats = settings.formats.as_dict()
    formats.pop("head", None)
    return {
        "label": f"{number}: {option.shape}, {option.blocks} blocks, biases of {option.biases}"
        + _at(option.resolution),
        "update": option.update, "formats": formats, "residency": str(settings.residency),
        **_sized(option.resolution),
    }  # fmt: skip


def _at(resolution: int | None) -> str:
    return "" if resolution is None else f", at {resolution}"


def _sized(resolution: int | None) -> dict[str, int]:
    return {} if resolution is None else {"resolution": resolution}


def refined(result: StudyResult) -> list[Section]:
    """Return what came of it, what it cost, and the options that train the best choice."""
    sections = result.sections()
    epochs = sum(len(point.rows) for point in result.points)
    steps = sum(int(row["steps"]) for point in result.points for row in point.rows[-1:])
    cost = Facts([("cost", f"{len(result.points)} choices, {epochs} epochs, {steps:,} steps of training")])
    sections = [section for section in sections if not isinstance(section, Command)]
    if result.best is None:
        return [*sections, cost]
    wanted = result.best.points[0].experiment
    line = arguments(wanted.settings, Settings())
    if wanted.search.resolutions:
        line = f"--resolution {wanted.resolution} {line}"
    return [*sections, cost, Command(line, "the best again, as options of plan and train:")]


def _plain(data: Any) -> Any:
    """Return nested data without what is not said."""
    if not isinstance(data, dict):
        return data
    return {name: _plain(value) for name, value in data.items() if value is not None}
