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

pools = st.lists(
    st.tuples(st.integers(1, 60), st.integers(1, 400), st.integers(1, 300)), min_size=1, max_size=8
).map(lambda rows: tuple(Layer(f"layer{i}", *row) for i, row in enumerate(rows)))
limits = st.one_of(st.none(), st.integers(1, 50_000))
budgets = st.builds(Budget, limits, limits).filter(lambda b: b.limits())


def taken(pool, counts):
    weights = sum(item.channel_weights * counts.get(item.op, 0) for item in pool)
    elements = weights + sum(item.channel_features * counts.get(item.op, 0) for item in pool)
    return weights, elements


def within(pool, counts, budget):
    return all(
        limit is None or used <= limit
        for used, limit in zip(taken(pool, counts), (budget.weights, budget.elements), strict=True)
    )


def affordable(pool, budget):
    return any(budget.most(item) for item in pool)


@given(pools, budgets)
def test_a_quota_stays_within_the_budget_and_leaves_no_room_for_more(pool, budget):
    if not affordable(pool, budget):
        with pytest.raises(BadArgument, match="not one channel"):
            quota(pool, budget)
        return
    counts = quota(pool, budget)
    assert list(counts) == [item.op for item in pool]
    assert within(pool, counts, budget)
    share = budget.share(pool)
    for item in pool:
        assert int(share * item.channels) <= counts[item.op] <= item.channels
        if counts[item.op] < item.channels:
            assert not within(pool, counts | {item.op: counts[item.op] + 1}, budget)


@given(pools, budgets, st.integers(0, 2**32))
def test_spending_stays_within_the_budget_and_leaves_no_room_for_more(pool, budget, seed):
    order = [(place, channel) for place, item in enumerate(pool) for channel in range(item.channels)]
    np.random.default_rng(seed).shuffle(order)
    if not affordable(pool, budget):
        with pytest.raises(BadArgument, match="not one channel"):
            spend(pool, budget, order)
        return
    bought = spend(pool, budget, order)
    counts = {op: len(channels) for op, channels in bought.items()}
    assert within(pool, counts, budget)
    for item in pool:
        chosen = bought.get(item.op, np.array([], np.int32))
        assert (np.diff(chosen) > 0).all()
        assert len(chosen) <= budget.most(item)
        if len(chosen) < item.channels:
            assert not within(pool, counts | {item.op: len(chosen) + 1}, budget)


def test_a_ratio_is_a_number_of_weights():
    from update_networks import mobilenet

    from mcusim.update.channels import trunk_weights

    total = trunk_weights(mobilenet())
    for count in range(1, total):
        assert Budget.of(mobilenet(), ratio=count / total).weights == count
    assert Budget.of(mobilenet(), ratio=None, elements=5) == Budget(None, 5)
    assert Budget(100, None).share((Layer("a", 5, 10, 1),)) == 1
    assert Budget(100, 70).share((Layer("a", 20, 10, 1),)) == Fraction(70, 220)
    assert Budget(100, 70).most_weights() == 70


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
