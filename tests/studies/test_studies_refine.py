"""A search is settled by short trainings on validation examples, beside what was chosen by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mcusim
from mcusim.core import BadArgument
from mcusim.explore.found import Found
from mcusim.session.experiment import Experiment
from mcusim.studies.refine import refine, refined


@pytest.fixture
def wanted(base: dict[str, Any]) -> Experiment:
    data = {name: value for name, value in base.items() if name not in ("update", "training")}
    return Experiment.from_dict({**data, "formats": {"bias": "int32+res8"}, "training": {"epochs": 2}})


@pytest.fixture
def found(wanted: Experiment) -> Found:
    model, board = wanted.network().model, wanted.target()
    ranking = mcusim.sensitivity(model, board, wanted.dataset(model), steps=8)
    return mcusim.search(model, board, ranking, wanted.settings)


def test_the_best_of_short_trainings_is_chosen_on_validation_examples(
    wanted: Experiment, found: Found, tmp_path: Path
) -> None:
    result = refine(found, wanted, tmp_path / "out", most=2, around=0, rates=(0.0, 0.05), also=("head",))
    assert len(result.points) == 3 * 2
    assert {len(p.rows) for p in result.points} == {1, 2}
    for point in result.points:
        assert point.result["examples"]["reported"] == "validation"
        assert not any("test" in name for row in point.rows for name in row)
    best = result.best
    assert best is not None
    assert best.chosen == max(mean.chosen for mean in result.means)
    text = "\n".join(map(str, refined(result)))
    assert "6 choices" in text
    update = best.points[0].experiment.update
    assert f"--update {update}" in text
    options = {o.update for o in found.varied(2)} | {"head"}
    assert {p.experiment.update for p in result.points} == options


def test_what_is_most_like_the_best_has_its_turn(wanted: Experiment, found: Found, tmp_path: Path) -> None:
    result = refine(found, wanted, tmp_path, most=2, around=2, rates=(0.05,), also=("head",), rungs=())
    tried = found.varied(2)
    updates = {point.experiment.update: point for point in result.points}
    first = max(tried, key=lambda option: updates[option.update].score() or 0)
    assert set(updates) == {o.update for o in (*tried, *found.near(first, 2, tried))} | {"head"}
    assert len(updates) == 5
    assert found.near(first, 99, tried) != []
    assert not set(found.near(first, 99, tried)) & set(tried)


def test_resolutions_are_trained_beside_each_other(wanted: Experiment, tmp_path: Path) -> None:
    model = wanted.network().model
    side = model.input.shape[1]
    ranking = mcusim.sensitivity(model, wanted.target(), wanted.dataset(model), steps=8)
    wanted = replace(wanted, search=replace(wanted.search, resolutions=(side // 2, side)))
    found = mcusim.search(model, wanted.target(), ranking, wanted.settings, space=wanted.search)
    result = refine(found, wanted, tmp_path, most=2, around=1, rates=(0.05,), also=("head",), rungs=())
    trained = [(point.experiment.update, point.experiment.resolution) for point in result.points]
    assert len(trained) == len(set(trained)) == 2 + 2 + 1
    assert {("head", side // 2), ("head", side)} < set(trained)
    best = result.best
    assert best is not None
    assert f"--resolution {best.points[0].experiment.resolution} " in "\n".join(map(str, refined(result)))


def test_going_on_repeats_nothing(wanted: Experiment, found: Found, tmp_path: Path) -> None:
    def trained() -> dict[str, int]:
        return {str(p): p.stat().st_mtime_ns for p in tmp_path.rglob("run.json")}

    refine(found, wanted, tmp_path, most=1, around=0, rates=(0.01, 0.05), rungs=())
    before = trained()
    refine(found, wanted, tmp_path, most=1, around=0, rates=(0.01, 0.05), also=("head",), rungs=())
    assert len(before) == 2
    assert {path: stamp for path, stamp in trained().items() if path in before} == before
    assert len(trained()) == 4


def test_one_choice_is_no_search(wanted: Experiment, found: Found, tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match="has one choice"):
        refine(found, replace(wanted), tmp_path, most=1, rates=(0.01,))
    with pytest.raises(BadArgument, match="around -1: is less than 0"):
        refine(found, wanted, tmp_path, around=-1)
    with pytest.raises(BadArgument, match="seeds 0: is less than 1"):
        refine(found, wanted, tmp_path, seeds=0)


def test_each_option_is_trained_with_every_seed_and_compared_by_the_mean(
    wanted: Experiment, found: Found, tmp_path: Path
) -> None:
    wanted = replace(wanted, seed=3)
    result = refine(found, wanted, tmp_path, most=2, around=0, rates=(0.05,), seeds=2)
    for mean in result.means:
        assert {point.seed for point in mean.points} == {3, 4}
        assert len({len(point.rows) for point in mean.points}) == 1
        scores = [point.score() or 0 for point in mean.points]
        assert mean.chosen == pytest.approx(sum(scores) / 2)


def test_the_command_line_says_what_it_cost(base: dict[str, Any], tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from mcusim.cli.main import build

    words = ["search", "-m", base["model"], "-b", "nrf52840", "--data", base["data"], "--steps", "8"]
    words += ["--most", "1", "--around", "0", "--limit", "8"]
    more = ["--train", str(tmp_path / "t"), "--also", "head", "--validation", "0.2", "--flip"]
    more += ["--rates", "0.05"]
    result = CliRunner().invoke(build(), [*words, *more])
    assert result.exit_code == 0, result.output
    assert "2 choices, 3 epochs, 24 steps of training" in result.stdout
    runs = [json.loads(path.read_text())["experiment"]["training"] for path in tmp_path.rglob("point.json")]
    assert len(runs) == 2
    for recipe in runs:
        assert (recipe["epochs"], recipe["validation"], recipe["evaluate"]) == (2, 0.2, "never")
        assert recipe["augmentation"]["flip"]
    wrong = CliRunner().invoke(build(), [*words, *more[:-2], "--rates", "fast"])
    assert wrong.exit_code == 2
    assert "--rates 'fast': are not numbers" in wrong.output
