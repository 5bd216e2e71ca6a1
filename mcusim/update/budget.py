"""Budgets of a selection: in weights, in stored elements, and in bytes of SRAM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, OutOfSram
from mcusim.graph import Model
from mcusim.update.channels import Layer, trunk_weights
from mcusim.update.selection import Limit

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may learn in one iteration.

    Attributes:
        weights: most weights that learn; ``None`` for no such limit.
        elements: most elements stored for them: the weights and the saved activations of the selected
            channels (C_W + C_A of arXiv 2510.19675); ``None`` for no such limit.
    """

    weights: int | None = None
    elements: int | None = None

    @classmethod
    def of(cls, model: Model, *, ratio: float | None, elements: int | None = None) -> Budget:
        """Return a budget with a fraction of the model's weights.

        Raises:
            BadArgument: as ``check_limits``.
        """
        check_limits(ratio, elements)
        # A ratio computed as count / total must give back the count despite its rounding.
        weights = None if ratio is None else floor(ratio * trunk_weights(model) + 1e-6)
        return cls(weights, elements)

    def limits(self) -> tuple[tuple[int, Callable[[Layer], int]], ...]:
        """Return each limit with what one channel of a layer takes of it."""
        both = ((self.weights, _weights), (self.elements, _elements))
        return tuple((limit, cost) for limit, cost in both if limit is not None)

    def shared_by(self, eligible: Sequence[Layer]) -> tuple[Limit, ...]:
        """Return the limits with what one channel of each of these layers takes of them."""
        both = (("weights", self.weights, _weights), ("elements", self.elements, _elements))
        return tuple(
            Limit(what, limit, {item.op: cost(item) for item in eligible})
            for what, limit, cost in both
            if limit is not None
        )

    def share(self, eligible: Sequence[Layer]) -> Fraction:
        """Return the largest fraction of the eligible channels that the budget allows, at most 1."""
        shares = [
            Fraction(limit, max(sum(item.channels * cost(item) for item in eligible), 1))
            for limit, cost in self.limits()
        ]
        return min([*shares, Fraction(1)])

    def most(self, item: Layer) -> int:
        """Return the most channels of one layer that the budget allows."""
        return min([item.channels, *(limit // cost(item) for limit, cost in self.limits())])


def check_limits(ratio: float | None, elements: int | None) -> None:
    """Check the limits of a budget.

    Raises:
        BadArgument: if the ratio is not in (0, 1], the elements are less than 1, or both are missing.
    """
    if ratio is None and elements is None:
        raise BadArgument("this scheme", "has no budget", "give ratio=… or elements=…")
    if ratio is not None and not 0 < ratio <= 1:
        raise BadArgument(f"ratio {ratio}", "is not in (0, 1]", "try 0.02, which is 2 %")
    if elements is not None and elements < 1:
        raise BadArgument(f"budget of {elements} elements", "is less than 1", "try 27946")


class RemainingBudget:
    """A budget being spent, channel by channel."""

    def __init__(self, budget: Budget) -> None:
        self._costs = [cost for _, cost in budget.limits()]
        self._left = [limit for limit, _ in budget.limits()]

    def affords(self, item: Layer) -> bool:
        """True if one more channel of the layer fits."""
        return all(cost(item) <= left for cost, left in zip(self._costs, self._left, strict=True))

    def spend(self, item: Layer, count: int = 1) -> None:
        """Spend what ``count`` channels of the layer take."""
        self._left = [left - count * cost(item) for cost, left in zip(self._costs, self._left, strict=True)]


def spend(
    eligible: Sequence[Layer], budget: Budget, order: Iterable[tuple[int, int]]
) -> dict[str, NDArray[np.int32]]:
    """Return the channels bought in the order given, (place among the eligible, channel), each if it fits.

    Raises:
        BadArgument: if not even one fits.
    """
    remaining = RemainingBudget(budget)
    bought: dict[str, list[int]] = {item.op: [] for item in eligible}
    for place, channel in order:
        if remaining.affords(eligible[place]):
            remaining.spend(eligible[place])
            bought[eligible[place].op].append(channel)
    if not any(bought.values()):
        raise too_small(eligible, budget)
    return {op: np.array(sorted(chosen), np.int32) for op, chosen in bought.items() if chosen}


def too_small(eligible: Sequence[Layer], budget: Budget) -> BadArgument:
    """Return the error for a budget in which no channel of the eligible layers fits."""
    weights = min((item.channel_weights for item in eligible), default=0)
    elements = min((_elements(item) for item in eligible), default=0)
    parts = [
        f"{limit} {name}"
        for limit, name in ((budget.weights, "weights"), (budget.elements, "elements"))
        if limit is not None
    ]
    return BadArgument(
        f"a budget of {' and '.join(parts)}",
        f"holds not one channel of these layers: the smallest has {weights} weights, {elements} elements",
        "raise the budget or choose other layers",
    )


def largest_that_fits(
    make: Callable[[int], T], peak_bytes: Callable[[T], int], capacity_bytes: int, *, least: int, most: int
) -> T:
    """Return ``make(n)`` for the largest n in [least, most] whose peak fits in the capacity.

    The peak must not fall when n rises. A peak that rises evenly is met by interpolation in a few plans;
    where that does not halve what is left, the next is in the middle: at most 2 log2(most - least) or so.

    Raises:
        OutOfSram: if even ``make(least)`` does not fit; it tells the smallest possible peak.
    """
    smallest = peak_bytes(make(least))
    if smallest > capacity_bytes:
        raise OutOfSram(
            capacity_bytes=capacity_bytes,
            needed_bytes=smallest,
            where="the smallest possible selection",
            suggestions=("choose fewer or later layers, smaller formats, patches or a smaller input",),
        )
    low, fitting = least, smallest
    high, over = most + 1, None
    halve = True
    while high - low > 1:
        if halve or over is None:
            tried = (low + high) // 2
        else:
            part = (capacity_bytes - fitting) / (over - fitting)
            tried = min(max(low + int(part * (high - low)), low + 1), high - 1)
        left = high - low
        peak = peak_bytes(make(tried))
        if peak <= capacity_bytes:
            low, fitting = tried, peak
        else:
            high, over = tried, peak
        halve = not halve and 2 * (high - low) > left
    return make(low)


def _weights(item: Layer) -> int:
    return item.channel_weights


def _elements(item: Layer) -> int:
    return item.channel_weights + item.channel_features
