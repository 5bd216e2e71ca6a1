"""How many channels of each layer learn under a budget of weights."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.core import BadArgument
from mcusim.update.channels import Layer


def quota(pool: Sequence[Layer], budget: int) -> dict[str, int]:
    """Share a budget of weights among layers in proportion to their sizes, by largest remainder.

    Every layer gets the whole part of its share of channels; what is left of the budget goes, channel
    by channel, to the layer that is furthest below its share and where one more still fits. Earlier
    layers win ties.

    Returns:
        op name -> number of channels, for every layer of the pool; their weights sum to at most
        ``budget``.

    Raises:
        BadArgument: if not even one channel of any layer fits in the budget.
    """
    total = max(sum(item.weights for item in pool), 1)
    budget = min(budget, total)
    counts = {item.op: budget * item.channels // total for item in pool}
    left = budget - sum(counts[item.op] * item.channel_weights for item in pool)
    while True:
        fitting = [i for i in pool if counts[i.op] < i.channels and i.channel_weights <= left]
        if not fitting:
            break
        best = max(fitting, key=lambda item: budget * item.channels - counts[item.op] * total)
        counts[best.op] += 1
        left -= best.channel_weights
    if not any(counts.values()):
        smallest = min((item.channel_weights for item in pool), default=0)
        raise BadArgument(
            f"a budget of {budget} weights",
            f"is less than one channel of any of these layers ({smallest} weights)",
            "raise the ratio or choose other layers",
        )
    return counts
