from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import BadArgument, OutOfSram
from mcusim.update.budget import Budget, largest_that_fits, spend
from mcusim.update.channels import Layer
from mcusim.update.quota import quota
from mcusim.update.selection import Limit

pools = st.lists(
    st.tuples(st.integers(1, 60), st.integers(1, 400), st.integers(1, 300)), min_size=1, max_size=8
).map(lambda rows: tuple(Layer(f"layer{i}", *row) for i, row in enumerate(rows)))
limits = st.one_of(st.none(), st.integers(1, 50_000))
budgets = st.builds(Budget, limits, limits).filter(lambda b: b.limits())


def taken(eligible, counts):
    weights = sum(item.channel_weights * counts.get(item.op, 0) for item in eligible)
    elements = weights + sum(item.channel_features * counts.get(item.op, 0) for item in eligible)
    return weights, elements


def within(eligible, counts, budget):
    return all(
        limit is None or used <= limit
        for used, limit in zip(taken(eligible, counts), (budget.weights, budget.elements), strict=True)
    )


def affordable(eligible, budget):
    return any(budget.most(item) for item in eligible)


@given(pools, budgets)
def test_a_quota_stays_within_the_budget_and_leaves_no_room_for_more(eligible, budget):
    if not affordable(eligible, budget):
        with pytest.raises(BadArgument, match="not one channel"):
            quota(eligible, budget)
        return
    counts = quota(eligible, budget)
    assert list(counts) == [item.op for item in eligible]
    assert within(eligible, counts, budget)
    share = budget.share(eligible)
    for item in eligible:
        assert int(share * item.channels) <= counts[item.op] <= item.channels
        if counts[item.op] < item.channels:
            assert not within(eligible, counts | {item.op: counts[item.op] + 1}, budget)


@given(pools, budgets, st.integers(0, 2**32))
def test_spending_stays_within_the_budget_and_leaves_no_room_for_more(eligible, budget, seed):
    order = [(place, channel) for place, item in enumerate(eligible) for channel in range(item.channels)]
    np.random.default_rng(seed).shuffle(order)
    if not affordable(eligible, budget):
        with pytest.raises(BadArgument, match="not one channel"):
            spend(eligible, budget, order)
        return
    bought = spend(eligible, budget, order)
    counts = {op: len(channels) for op, channels in bought.items()}
    assert within(eligible, counts, budget)
    for item in eligible:
        chosen = bought.get(item.op, np.array([], np.int32))
        assert (np.diff(chosen) > 0).all()
        assert len(chosen) <= budget.most(item)
        if len(chosen) < item.channels:
            assert not within(eligible, counts | {item.op: len(chosen) + 1}, budget)


def test_a_ratio_is_a_number_of_weights():
    from update_networks import mobilenet

    from mcusim.update.channels import trunk_weights

    total = trunk_weights(mobilenet())
    for count in range(1, total):
        assert Budget.of(mobilenet(), ratio=count / total).weights == count
    assert Budget.of(mobilenet(), ratio=None, elements=5) == Budget(None, 5)
    assert Budget(100, None).share((Layer("a", 5, 10, 1),)) == 1
    assert Budget(100, 70).share((Layer("a", 20, 10, 1),)) == Fraction(70, 220)
    limits = Budget(100, 70).shared_by((Layer("a", 20, 10, 1),))
    assert limits == (Limit("weights", 100, {"a": 10}), Limit("elements", 70, {"a": 11}))


@given(st.integers(0, 1000), st.integers(1, 50), st.integers(0, 2000))
def test_the_largest_that_fits_is_found(offset, slope, capacity):
    def peak(n):
        return offset + slope * n

    if peak(1) > capacity:
        with pytest.raises(OutOfSram) as caught:
            largest_that_fits(int, peak, capacity, least=1, most=100)
        assert caught.value.needed_bytes == peak(1)
        return
    best = largest_that_fits(int, peak, capacity, least=1, most=100)
    assert peak(best) <= capacity
    assert best == 100 or peak(best + 1) > capacity


@given(st.lists(st.sampled_from([0, 1, 7, 500, 10**6]), min_size=1, max_size=300), st.integers(0, 10**7))
def test_the_largest_that_fits_is_found_whatever_the_peak_rises_by(rises, capacity):
    peaks = [sum(rises[: n + 1]) for n in range(len(rises))]
    if peaks[0] > capacity:
        return
    tried = []
    best = largest_that_fits(
        int, lambda n: tried.append(n) or peaks[n], capacity, least=0, most=len(peaks) - 1
    )
    assert best == max(n for n, peak in enumerate(peaks) if peak <= capacity)
    assert len(tried) == len(set(tried))
    assert len(tried) <= 2 + 2 * len(peaks).bit_length()


def test_a_peak_that_rises_evenly_is_met_in_a_few_plans():
    tried = []
    best = largest_that_fits(int, lambda n: tried.append(n) or 1000 + 613 * n, 200_000, least=0, most=1000)
    assert best == (200_000 - 1000) // 613
    assert len(tried) <= 6
