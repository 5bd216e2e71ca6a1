"""How many channels of each layer learn under a budget."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.update.budget import Budget, RemainingBudget, too_small
from mcusim.update.channels import Layer


def quota(eligible: Sequence[Layer], budget: Budget) -> dict[str, int]:
    """Share a budget among layers in proportion to their channels, by largest remainder.

    Every layer gets the whole part of its share of channels; what is left of the budget goes, channel
    by channel, to the layer that is furthest below its share and where one more still fits. Earlier
    layers win ties.

    Returns:
        op name -> number of channels, for every eligible layer; together never above the budget.

    Raises:
        BadArgument: if not even one channel of any layer fits in the budget.
    """
    share = budget.share(eligible)
    remaining = RemainingBudget(budget)
    counts = {}
    for item in eligible:
        counts[item.op] = item.channels * share.numerator // share.denominator
        remaining.spend(item, counts[item.op])
    while True:
        fitting = [item for item in eligible if counts[item.op] < item.channels and remaining.affords(item)]
        if not fitting:
            break
        best = max(fitting, key=lambda item: item.channels * share - counts[item.op])
        counts[best.op] += 1
        remaining.spend(best)
    if not any(counts.values()):
        raise too_small(eligible, budget)
    return counts
