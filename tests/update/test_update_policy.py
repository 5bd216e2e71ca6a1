from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from update_networks import mobilenet

from mcusim.core import BadArgument, UnknownName
from mcusim.update import Statistics
from mcusim.update import draw as draw_module
from mcusim.update.channels import channel_norms, layers
from mcusim.update.draw import Draws
from mcusim.update.policy import POLICIES, Choice
from mcusim.update.schemes.dynamic import Dynamic
from mcusim.update.selection import Selection

MODEL = mobilenet()
LAYER = layers(MODEL)["b1.depthwise"]  # 24 channels


def choose(name, count, stage=0, seed=0, statistics=None, position=0):
    return POLICIES[name].choose(Choice(MODEL, LAYER, count, position, stage, seed, statistics))


def seen(values):
    """Statistics in which some channels showed these gradient norms."""
    statistics = Statistics.empty({"gradient-norm"}, {LAYER.op: LAYER.channels})
    channels = np.array(sorted(values), np.int32)
    amounts = np.array([values[c] for c in sorted(values)], np.float32)
    statistics.add("gradient-norm", LAYER.op, amounts, channels)
    statistics.close_stage()
    return statistics


@pytest.mark.smoke
@pytest.mark.parametrize("name", POLICIES.names())
def test_every_policy_is_pure_and_gives_as_many_as_asked(name):
    statistics = seen({3: 1.0, 5: 0.25})
    for count in (0, 1, 7, 24):
        first = choose(name, count, 4, 9, statistics)
        assert first.dtype == np.int32
        assert len(first) == count
        assert (np.diff(first) > 0).all()
        assert np.array_equal(first, choose(name, count, 4, 9, statistics))


def test_uniform_draws_are_uniform_and_independent_of_other_layers():
    counts = np.zeros(24)
    for stage in range(4000):
        counts[choose("uniform", 6, stage)] += 1
    # Each channel is hit 4000 * 6 / 24 = 1000 times, standard deviation 27.
    assert abs(counts - 1000).max() < 5 * 27
    assert not np.array_equal(choose("uniform", 6, 0), choose("uniform", 6, 0, position=1))
    assert not np.array_equal(choose("uniform", 6, 0), choose("uniform", 6, 0, seed=1))


@given(st.integers(1, 24), st.integers(0, 2**31), st.integers(0, 100))
def test_round_robin_visits_every_channel_before_any_twice_more(count, seed, start):
    stages = -(-24 // count)
    visits = np.zeros(24, int)
    for stage in range(start, start + stages):
        visits[choose("round-robin", count, stage, seed)] += 1
    assert visits.min() >= 1
    assert visits.max() <= 2


def test_weight_norm_takes_the_largest():
    weights = MODEL.tensors["b1.depthwise.w"].data.astype(float).reshape(9, 24)
    norms = np.sqrt((weights**2).sum(axis=0))
    assert np.allclose(channel_norms(MODEL, MODEL.op("b1.depthwise")), norms)
    assert set(choose("weight-norm", 5)) == set(np.argsort(-norms)[:5])
    weights = MODEL.tensors["b1.expand.w"].data.astype(float)
    assert np.allclose(channel_norms(MODEL, MODEL.op("b1.expand")), np.sqrt((weights**2).sum(axis=(0, 1, 2))))


def test_gradient_norm_explores_and_then_takes_the_largest():
    everything = {c: float(c) for c in range(24)}
    assert list(choose("gradient-norm", 3, statistics=seen(everything))) == [21, 22, 23]
    del everything[4]
    assert list(choose("gradient-norm", 3, statistics=seen(everything))) == [4, 22, 23]


def test_importance_draws_by_gradient_norm():
    statistics = seen({c: 9.0 if c == 7 else 1.0 for c in range(24)})
    hits = sum(7 in choose("importance", 1, stage, statistics=statistics) for stage in range(2000))
    # Probability 9 / 32 = 0.281, standard deviation of the count 20.
    assert abs(hits - 2000 * 9 / 32) < 5 * 20


def test_weighted_draws_fall_back_to_the_rest():
    order = Draws(1).weighted(np.array([0.0, 2.0, 0.0, 1.0]), 4)
    assert set(order[:2]) == {1, 3}
    assert set(order[2:]) == {0, 2}
    assert sorted(Draws(1).weighted(np.zeros(5), 5)) == [0, 1, 2, 3, 4]


def test_draws_are_the_same_on_every_machine():
    assert Draws(0, 1).words(2).tolist() == [12492077108140196533, 4482314363672241088]
    assert Draws(5, 2, 3).permutation(6).tolist() == [5, 2, 4, 0, 3, 1]


def test_unknown_policies_suggest_the_nearest():
    with pytest.raises(UnknownName, match="uniform"):
        POLICIES["unifrom"]


def test_statistics_keep_means_and_peaks_and_come_back():
    statistics = Statistics.empty({"gradient-norm", "error-norm"}, {"a": 4})
    assert np.isnan(statistics.get("gradient-norm", "a")).all()
    for amounts in ((1.0, 3.0), (2.0, 5.0)):
        statistics.add("gradient-norm", "a", np.array(amounts, np.float32), np.array([0, 2], np.int32))
        statistics.add("error-norm", "a", np.array([amounts[0]], np.float32))
    before = {name: array.copy() for name, array in statistics.arrays().items()}
    statistics.close_stage()
    assert np.array_equal(statistics.get("gradient-norm", "a"), [1.5, np.nan, 4, np.nan], equal_nan=True)
    statistics.add("gradient-norm", "a", np.array([1.0], np.float32), np.array([2], np.int32))
    statistics.close_stage()
    assert np.array_equal(statistics.get("gradient-norm", "a"), [1.5, np.nan, 1, np.nan], equal_nan=True)
    peaks = statistics.peaks["gradient-norm"]["a"]
    assert np.array_equal(peaks, [1.5, np.nan, 4, np.nan], equal_nan=True)
    assert statistics.get("fisher", "a") is None
    statistics.restore(before)
    statistics.close_stage()
    assert statistics.get("error-norm", "a") == 1.5
    with pytest.raises(BadArgument, match="another model"):
        statistics.restore({})
    with pytest.raises(UnknownName, match="gradient-norm"):
        Statistics.empty({"gradient_norm"}, {})


WORD = st.sampled_from([0, 1, 2**32 - 1]) | st.integers(0, 2**32 - 1)


@given(WORD, WORD, st.lists(st.tuples(st.integers(1, 300), st.integers(0, 310)), max_size=4))
def test_compiled_draws_are_those_of_numpy(seed: int, stage: int, wanted: list[tuple[int, int]]) -> None:
    found = []
    for many in (10**9, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(draw_module, "MANY", many)
            found.append(draw_module.subsets(seed, stage, tuple(wanted)))
    assert len(found[0]) == len(found[1]) == len(wanted)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype == np.int32


def test_what_was_drawn_stays_as_it_is_when_more_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw_module, "MANY", 0)
    first = draw_module.subsets(1, 1, ((100, 5), (50, 4)))
    kept = [each.copy() for each in first]
    draw_module.subsets(1, 2, ((100, 5), (50, 4)))
    for one, other in zip(first, kept, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("stage", [0, 7])
def test_a_scheme_draws_what_its_policy_chooses(stage: int) -> None:
    scheme = Dynamic(ratio=0.2, blocks=3)
    selection, scope = scheme.select(MODEL, stage, 5), scheme.scope(MODEL)
    known, policy = layers(MODEL), POLICIES["uniform"]
    assert list(selection.channels) == list(scope.channels)
    for position, (name, chosen) in enumerate(selection.channels.items()):
        choice = Choice(MODEL, known[name], scope.channels[name], position, stage, 5)
        np.testing.assert_array_equal(chosen, policy.choose(choice))
        assert not chosen.flags.writeable
    assert Selection(selection.channels, selection.biases, selection.head).same_as(selection)


def test_seeds_of_several_words_are_numpys(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = np.sort(Draws(2**70, 1, 0).permutation(20)[:4])
    monkeypatch.setattr(draw_module, "MANY", 0)
    np.testing.assert_array_equal(draw_module.subsets(2**70, 0, ((9, 1), (20, 4)))[1], expected)
