"""A study says what it means, or is refused in one line before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mcusim
from mcusim.core import BadArgument, McusimError, UnknownName
from mcusim.studies.axes import Space
from mcusim.studies.study import Study


def study(base: dict[str, Any], **more: Any) -> Study:
    return Study.read({"name": "mine", "base": base, "axes": {"lr": [0.01, 0.1]}, **more})


def test_a_grid_goes_through_every_combination_and_seeds_make_no_candidates(base) -> None:
    axes = {"update": ["head", "dense"], "formats.weight": ["int8", "int8-sr"], "seed": [0, 1, 2]}
    space = Space(study(base, axes=axes))
    found = list(space.grid())
    assert space.seeds == [0, 1, 2]
    assert [tuple(c.values.values()) for c in found] == [
        ("head", "int8"), ("head", "int8-sr"), ("dense", "int8"), ("dense", "int8-sr"),
    ]  # fmt: skip
    wanted = found[3].experiment(2)
    assert (wanted.update, wanted.formats.weight, wanted.seed) == ("dense", "int8-sr", 2)
    assert wanted.training.epochs == 2


@pytest.mark.smoke
def test_settings_that_go_together_are_one_axis(base) -> None:
    scheme = [
        {"label": "head in int32", "update": "head"},
        {"label": "all", "update": "dense", "weight": "int8+res8", "sgd": {"lr": 0.5}},
    ]
    first, second = Space(study(base, axes={"scheme": scheme})).grid()
    assert (first.values, second.values) == ({"scheme": "head in int32"}, {"scheme": "all"})
    wanted = second.experiment(0)
    assert (wanted.update, wanted.formats.weight, wanted.sgd.lr) == ("dense", "int8+res8", 0.5)


def test_random_candidates_lie_in_their_ranges_and_depend_on_the_seed(base) -> None:
    axes = {
        "lr": {"low": 0.001, "high": 0.1, "log": True},
        "accumulate": {"low": 1, "high": 4, "whole": True},
        "update": ["head", "dense"],
    }
    draws = [
        [dict(c.values) for c in Space(study(base, axes=axes, sampler="random", points=40, **more)).random()]
        for more in ({}, {}, {"sampler_seed": 1})
    ]
    assert draws[0] == draws[1] != draws[2]
    assert all(0.001 <= row["lr"] <= 0.1 for row in draws[0])
    assert sum(row["lr"] < 0.01 for row in draws[0]) > 10
    assert {row["accumulate"] for row in draws[0]} == {1, 2, 3, 4}
    assert {row["update"] for row in draws[0]} == {"head", "dense"}


def test_a_file_is_a_study_named_like_it(base, tmp_path: Path) -> None:
    path = tmp_path / "rates.toml"
    path.write_text('[axes]\nlr = [0.1]\n[base]\nmodel = "x"\nboard = "nrf52840"\n[tool.mine]\nx = 1\n')
    assert Study.read(path).name == "rates"


WRONG: list[tuple[dict[str, Any], type[McusimError], str]] = [
    ({"axes": {"learning_rte": [1]}}, UnknownName, "axis 'learning_rte'"),
    ({"axes": {"wieght": ["int8"]}}, UnknownName, "did you mean .*weight"),
    ({"axes": {"lr": [0.1, "fast"]}}, BadArgument, "learning rate lr 'fast': is not a number"),
    ({"axes": {"update": ["head", "dens"]}}, UnknownName, "did you mean dense"),
    (
        {"axes": {"update": {"low": 1, "high": 2}}, "sampler": "random", "points": 2},
        BadArgument,
        "is a range",
    ),
    ({"axes": {"lr": {"low": 1, "high": 2}}}, BadArgument, "axis lr is a range, which a grid cannot"),
    ({"axes": {"lr": {"low": 2, "high": 1}}, "sampler": "tpe", "points": 2}, BadArgument, "not below"),
    ({"axes": {"lr": []}}, BadArgument, "axis lr has no values"),
    ({"axes": {"lr": [1], "sgd.lr": [2]}}, BadArgument, "changes sgd.lr, as axis lr does"),
    ({"axes": {"sgd.lr": [0.1]}, "sampler": "tpe"}, BadArgument, "needs points"),
    ({"sampler": "grid", "points": 3}, BadArgument, "points are for a sampler"),
    ({"sampler": "annealing"}, BadArgument, "sampler: Input should be"),
    ({"objectives": ["speed"]}, BadArgument, "objectives"),
    ({"limits": {"sram": 1}}, BadArgument, "limits.sram"),
    ({"halving": {"epochs": [2, 1]}}, BadArgument, "epochs do not rise"),
    ({"name": "../mine"}, BadArgument, "name"),
    ({"bse": {}}, BadArgument, "bse: Extra inputs are not permitted"),
    ({"axes": {"seed": [-1]}}, BadArgument, "seed -1"),
    (
        {"axes": {"way": [{"label": "a", "formats": {"head": "int8"}}]}},
        BadArgument,
        "study mine: formats.head: is that of the network",
    ),
]


@pytest.mark.parametrize(("more", "kind", "said"), WRONG, ids=[said for _, _, said in WRONG])
def test_what_makes_no_sense_is_named(base, tmp_path: Path, more, kind, said) -> None:
    data = {"name": "mine", "base": base, "axes": {"lr": [0.1]}, **more}
    with pytest.raises(kind, match=said) as caught:
        mcusim.sweep(data, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_choosing_by_test_examples_is_refused(base, tmp_path: Path) -> None:
    base["training"] = {"epochs": 4}
    halving = {"epochs": [1]}
    with pytest.raises(BadArgument, match="would choose by looking at the test examples"):
        mcusim.sweep({"name": "m", "base": base, "axes": {"lr": [0.1]}, "halving": halving}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_format_of_the_head_among_the_others_is_refused(base, tmp_path: Path) -> None:
    base["formats"] = {"error": "int16", "head": "int8"}
    with pytest.raises(BadArgument, match=r"study m: formats\.head: is that of the network \(write head = "):
        mcusim.sweep({"name": "m", "base": base, "axes": {"lr": [0.1]}}, tmp_path / "out")
    assert not (tmp_path / "out").exists()
