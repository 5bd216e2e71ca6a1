"""Layer choice by budget: everything it offers fits, gains are what they say, analyses are reusable."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from networks import small_network
from typer.testing import CliRunner

import mcusim
from mcusim.cli.main import build
from mcusim.core import BadArgument, BadBoard, OutOfFlash, OutOfSram, UnknownName
from mcusim.data.dataset import Dataset, Split
from mcusim.explore.gain import Gains
from mcusim.explore.search import SHAPES, search
from mcusim.explore.sensitivity import sensitivity
from mcusim.files.npz import save
from mcusim.planning.settings import Settings
from mcusim.planning.unconstrained import unconstrained
from mcusim.update.budget import Budget
from mcusim.update.channels import layers, trunk_weights
from mcusim.update.eligible import eligible_layers
from mcusim.update.ranking import Ranking
from mcusim.update.scheme import scheme

BOARD = mcusim.board("stm32f746")
MODEL = small_network()


def data(images: int = 24) -> Dataset:
    rng = np.random.default_rng(0)
    labels = np.arange(images) % 4
    split = Split(rng.integers(0, 256, (images, 16, 16, 3)).astype(np.uint8), labels.astype(np.int64))
    return Dataset(split, split, tuple("abcd"), "noise")


@pytest.fixture(scope="module")
def ranking() -> Ranking:
    return sensitivity(MODEL, BOARD, data(), steps=12)


def found(ranking, sram=24_000, **options):
    return search(MODEL, BOARD, ranking, Settings(sram=sram), **options)


def test_the_analysis_sees_every_layer_and_is_reusable(ranking, tmp_path):
    assert set(ranking.importance) == set(layers(MODEL))
    assert all(value >= 0 for value in ranking.importance.values())
    ranking.save(tmp_path / "a.json")
    assert Ranking.load(tmp_path / "a.json") == ranking
    again = sensitivity(MODEL, BOARD, data(), steps=12)
    assert again == ranking
    assert set(sensitivity(MODEL, BOARD, data(), steps=3, blocks=1).importance) < set(ranking.importance)


def test_every_option_fits_and_gives_its_plan_again(ranking):
    result = found(ranking)
    assert len(result.options) > 4
    gains = [option.gain for option in result.options]
    assert gains == sorted(gains, reverse=True)
    for option in result.options:
        assert option.plan.fits
        settings = option.plan.settings
        plan = mcusim.Session(
            MODEL, BOARD, option.update, sram=24_000, formats=settings.formats,
            residency=settings.residency, patches=settings.patches,
        ).plan()  # fmt: skip
        assert plan.peak_bytes == option.plan.peak_bytes
        assert f"--update {option.update} " in option.arguments
    assert json.dumps(result.as_dict())


def test_more_memory_never_gains_less(ranking):
    gains = [found(ranking, sram).best.gain for sram in (14_000, 18_000, 24_000, 60_000)]
    assert gains == sorted(gains)
    assert gains[-1] == pytest.approx(1)


def test_biases_of_more_blocks_take_from_the_weights(ranking):
    result = found(ranking, bias_blocks=(0, 99))
    every = max(option.biases for option in result.options)
    alone = {o.update for o in result.options if o.biases == o.blocks}
    assert alone >= {option.update for option in found(ranking).options}
    deep = [option for option in result.options if option.biases == every]
    assert {option.plan.step.scope.biases for option in deep} == {deep[0].plan.step.scope.biases}
    assert len(deep[0].plan.step.scope.biases) == len(layers(MODEL))
    assert found(ranking, bias_blocks="0, 99").as_dict() == result.as_dict()
    for wrong in ("a few", "-1", (), 1.5j):
        with pytest.raises(BadArgument, match="bias blocks"):
            found(ranking, bias_blocks=wrong)


def test_a_resolution_is_chosen_with_the_layers(ranking):
    result = found(ranking, 16_000, resolutions=(16, 12))
    assert {option.resolution for option in result.options} == {16, 12}
    own = {(o.update, o.plan.settings.formats): o.plan for o in found(ranking, 16_000).options}
    for option in result.options:
        assert option.arguments.startswith(f"--resolution {option.resolution} ")
        assert option.plan.step.model.input.shape == (1, option.resolution, option.resolution, 3)
        if option.resolution == 16:
            kept = own.pop((option.update, option.plan.settings.formats))
            assert kept.peak_bytes == option.plan.peak_bytes
    assert not own
    few = result.varied(4)
    assert {option.resolution for option in few} == {16, 12}
    assert result.near(few[0], 1) == few[:1]
    assert "images" in str(result.sections()[1])
    assert found(ranking, 16_000, resolutions="16, 12").as_dict() == result.as_dict()
    for wrong in ("large", "0", 1.5j):
        with pytest.raises(BadArgument, match="resolutions"):
            found(ranking, resolutions=wrong)


def test_what_is_like_a_scheme_learns_the_same_weights_and_biases(ranking):
    result = found(ranking, 16_000, bias_blocks=(0, 99))
    for option in result.varied(99):
        scope = option.plan.step.scope
        first = result.like(scope, 1)[0].plan.step.scope
        assert (dict(first.channels), first.biases) == (dict(scope.channels), scope.biases)
    last = result.like(scheme("last-1").scope(MODEL), 99)
    assert last[0].blocks == 1
    assert len(last) == len(result.varied(99))
    assert last[0] not in result.like(scheme("last-1").scope(MODEL), 99, last[:1])
    assert result.like(scheme("head").scope(MODEL), 1)
    several = found(ranking, 16_000, resolutions=(16, 12))
    assert several.like(scheme("last-1").scope(MODEL), 1, resolution=12)[0].resolution == 12


def test_an_expanding_selection_takes_expanding_layers_alone():
    model = mcusim.load("synthetic-mbv2")
    expanding = {item.op for item in eligible_layers(model, 99, "expand")}
    result = search(
        model, BOARD, Ranking(model.name, "rgn", dict.fromkeys(layers(model), 1.0)), Settings(sram=60_000)
    )
    taken = {
        shape: [o.plan.step.scope.channels for o in result.options if o.shape == shape] for shape in SHAPES
    }
    assert taken["expand"]
    assert all(set(channels) <= expanding for channels in taken["expand"])
    assert any(set(channels) - expanding for channels in taken["even"])


def test_what_is_tried_differs(ranking):
    result = found(ranking, 16_000, bias_blocks=(0, 99))
    few = result.varied(4)
    assert few[0] is result.best
    assert {option.shape for option in few} == set(SHAPES)
    assert len({option.biases for option in few}) > 1
    assert {(o.shape, o.blocks, o.biases) for o in few} != {
        (o.shape, o.blocks, o.biases) for o in result.options[:4]
    }
    for shape in SHAPES:
        own = [option.gain for option in result.options if option.shape == shape]
        assert all(2 * option.gain >= max(own) for option in few if option.shape == shape)
    assert len(result.varied(99)) == len({(o.shape, o.blocks, o.biases) for o in result.varied(99)})
    assert result.varied(1) == [result.best]


def test_a_ratio_is_kept(ranking):
    for option in found(ranking, 60_000, ratio=0.05).options:
        assert option.plan.step.scope.weights_updated(MODEL) <= 0.05 * trunk_weights(MODEL)


def test_a_limit_of_time_is_kept(ranking):
    def taken(option):
        return 1000 * option.plan.estimate.seconds

    usual = found(ranking, 60_000)
    limit = (min(map(taken, usual.options)) + max(map(taken, usual.options))) / 2
    quick = found(ranking, 60_000, step_ms=limit)
    assert quick.options
    assert all(taken(option) <= limit for option in quick.options)
    assert quick.best.gain < usual.best.gain
    with pytest.raises(BadArgument, match=r"step_ms=0.001: is less than any selection that fits takes"):
        found(ranking, 60_000, step_ms=0.001)
    with pytest.raises(BadBoard, match="no cycle profile"):
        search(MODEL, replace(BOARD, profile=None), ranking, Settings(sram=60_000), step_ms=limit)


def test_no_layer_gets_more_than_its_share(ranking):
    known = layers(MODEL)
    for option in found(ranking, 60_000, channels=0.25).options:
        if option.shape != "even":
            counts = option.plan.step.scope.channels
            assert all(n <= max(1, known[op].channels // 4) for op, n in counts.items())


def test_formats_named_first_win_ties(ranking):
    best = found(ranking, 60_000, ratio=0.05, errors=("int16", "float32")).best
    assert best.plan.settings.formats.error == "int16"
    best = found(ranking, 60_000, ratio=0.05).best
    assert best.plan.settings.formats.error == "float32"


def test_a_budget_nothing_can_meet_says_one_that_suffices(ranking):
    with pytest.raises(OutOfSram, match="smallest possible selection") as caught:
        found(ranking, 8_000)
    needed = caught.value.needed_bytes
    assert needed > 8_000
    assert found(ranking, needed).best.plan.peak_bytes <= needed


def test_bad_input(ranking):
    other = Ranking("another", "rgn", ranking.importance)
    with pytest.raises(BadArgument, match="not one of small"):
        found(other)
    with pytest.raises(UnknownName):
        found(Ranking("small", "rgn", {"nowhere": 1.0}))
    with pytest.raises(BadArgument, match="no gradient"):
        found(Ranking("small", "rgn", dict.fromkeys(ranking.importance, 0.0)))
    with pytest.raises(BadArgument):
        found(ranking, blocks=0)
    with pytest.raises(BadArgument):
        found(ranking, ratio=1.5)
    with pytest.raises(BadArgument):
        found(ranking, channels=0)
    with pytest.raises(BadArgument):
        found(ranking, errors=())
    with pytest.raises(UnknownName):
        found(ranking, errors=("int3",))
    with pytest.raises(BadArgument):
        sensitivity(MODEL, BOARD, data(), steps=0)


def test_a_flash_too_small_is_said(ranking):
    tiny = replace(BOARD, flash=replace(BOARD.flash, bytes=1000))
    with pytest.raises(OutOfFlash):
        search(MODEL, tiny, ranking, Settings(sram=60_000))


def test_gains_sum_to_one_and_follow_the_time_that_channels_learn(ranking):
    gains = Gains.of(MODEL, ranking)
    known = layers(MODEL)
    everything = {op: item.channels for op, item in known.items()}
    assert gains.expected(everything) == pytest.approx(1)
    assert gains.expected({op: n / 2 for op, n in everything.items()}) == pytest.approx(0.5)
    norms = {op: v * (known[op].channel_weights + known[op].channel_features)
             for op, v in ranking.importance.items()}  # fmt: skip
    for op, norm in norms.items():
        assert gains.expected({op: everything[op]}) == pytest.approx(norm / sum(norms.values()))
    lara = Ranking("small", "lara", {op: v / known[op].channels for op, v in ranking.importance.items()})
    assert Gains.of(MODEL, lara).expected(everything) == pytest.approx(1)


@pytest.mark.parametrize("limits", [(None, 900), (150, None), (150, 900)])
def test_what_is_bought_is_close_to_the_best_there_is(ranking, limits):
    """Against trying every selection of three layers: at most one channel of the dearest layer worse."""
    gains = Gains.of(MODEL, ranking)
    eligible = list(layers(MODEL).values())[-3:]
    budget = Budget(*limits)

    def allowed(counts):
        return all(sum(n * cost(i) for n, i in zip(counts, eligible, strict=True)) <= limit
                   for limit, cost in budget.limits())  # fmt: skip

    slow = max(
        gains.expected({i.op: n for n, i in zip(counts, eligible, strict=True)})
        for counts in product(*(range(i.channels + 1) for i in eligible))
        if allowed(counts)
    )
    bought = gains.best(eligible, budget)
    assert allowed([bought.get(i.op, 0) for i in eligible])
    one = max(gains.by_channel[i.op] for i in eligible)
    binding = 1 if None in limits else 2
    assert slow - binding * one * 3 <= gains.expected(bought) <= slow + 1e-12


def test_an_unconstrained_board_says_so():
    big = unconstrained(BOARD)
    assert "unconstrained" in big.name
    assert big.sram_bytes == big.flash.bytes == 1 << 30
    assert big.clock_hz == BOARD.clock_hz


def test_the_verb(tmp_path):
    path, analysis, out = (tmp_path / n for n in ("small.npz", "analysis.json", "found.json"))
    save(MODEL, path)
    images = data()
    np.savez(
        tmp_path / "d.npz", train_images=images.train.images, train_labels=images.train.labels,
        test_images=images.test.images, test_labels=images.test.labels,
    )  # fmt: skip
    call = [
        "search", "--model", str(path), "--board", "stm32f746", "--data", str(tmp_path / "d.npz"),
        "--steps", "5", "--analysis", str(analysis), "--errors", "float32",
    ]  # fmt: skip
    first = CliRunner().invoke(build(), [*call, "--sram", "24KiB", "--out", str(out)])
    assert first.exit_code == 0, first.output
    assert "--update dynamic:" in first.stdout.splitlines()[-1]
    assert " --weight int8+res8 --bias int32+res8 --sram 24576 --res" in first.stdout.splitlines()[-1]
    more = ("--sram", "24KiB", "--weights", "int8-sr", "--bias", "int32", "--feature", "checker")
    other = CliRunner().invoke(build(), [*call, *more]).stdout.splitlines()[-1]
    assert " --feature checker --sram 24576 --res" in other
    kept = analysis.read_bytes()
    second = CliRunner().invoke(build(), [*call, "--sram", "24KiB", "--json"])
    assert json.loads(second.stdout) == json.loads(out.read_text())
    assert analysis.read_bytes() == kept
    refused = CliRunner().invoke(build(), [*call, "--sram", "8KiB"])
    assert refused.exit_code == 3
    assert "smallest possible" in refused.stderr
