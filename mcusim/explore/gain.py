"""What a selection may be expected to gain, and the selection that gains most for what it stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mcusim.core import BadArgument
from mcusim.graph import Model
from mcusim.update.budget import Budget, RemainingBudget
from mcusim.update.channels import Layer, layers, require
from mcusim.update.ranking import Ranking


@dataclass(frozen=True, slots=True)
class Gains:
    """Gain of each learning channel, as a fraction of what it would gain if everything learned.

    Attributes:
        by_channel: op name -> gain of one channel that learns all the time, in execution order.

    The gain of one channel is the mean of ‖∂L/∂W_c‖₂ over its layer's channels (they take turns, so in
    the long run each is an average one), divided by the sum over all channels of the network. It comes
    from a saved ``Ranking``, whose importance is that norm over the elements a channel stores
    (arXiv 2510.19675).
    """

    by_channel: Mapping[str, float]

    @classmethod
    def of(cls, model: Model, ranking: Ranking) -> Gains:
        """Return the gains that a ranking says.

        Raises:
            BadArgument: if the ranking is of another network, or nothing in it has a gradient.
            UnknownName: if it names a layer the model does not have.
        """
        if ranking.model != model.name:
            raise BadArgument(
                f"ranking of {ranking.model}", f"is not one of {model.name}", "make it anew for this network"
            )
        norms = {}
        for op, importance in ranking.importance.items():
            item = require(model, op)
            mean = importance if ranking.metric == "lara" else importance / item.channels
            norms[op] = mean * (item.channel_weights + item.channel_features)
        total = sum(norm * require(model, op).channels for op, norm in norms.items())
        if not total > 0:
            raise BadArgument(f"ranking of {model.name}", "has no gradient anywhere", "train more steps")
        return cls({op: norms[op] / total for op in layers(model) if op in norms})

    def expected(self, counts: Mapping[str, int]) -> float:
        """Return the expected gain of a selection, in 0..1: 1 if every channel learns all the time.

        For a layer of C channels of which n learn at a time: its share of the summed gradient norm, times
        the fraction of the time n / C that each of its weights learns. By first order a small step along
        the gradient of a set of weights lowers the loss in proportion to its norm. Learning biases and the
        head are the same in the selections that are compared, up to the number of blocks, and not counted;
        neither is what rounding to a format takes away.
        """
        return sum(self.by_channel.get(op, 0.0) * count for op, count in counts.items())

    def best(self, eligible: Sequence[Layer], budget: Budget, share: float = 1.0) -> dict[str, int]:
        """Return how many channels of each eligible layer gain most within a budget.

        No layer gets more than ``share`` of its channels (but at least one).

        Channels are bought by gain for stored element and by gain for weight, each best up to the last
        channel of a layer where that limit binds (the fractional knapsack); the better result counts.
        Op name -> number, only layers with at least one, in execution order.
        """
        return max(
            (self._bought(eligible, budget, share, cost) for cost in (_elements, _weights)), key=self.expected
        )

    def _bought(
        self, eligible: Sequence[Layer], budget: Budget, share: float, cost: Callable[[Layer], int]
    ) -> dict[str, int]:
        remaining = RemainingBudget(budget)
        counts: dict[str, int] = {}
        for item in sorted(eligible, key=lambda item: -self.by_channel[item.op] / cost(item)):
            count = 0
            most = max(1, int(item.channels * share))
            while count < most and remaining.affords(item):
                remaining.spend(item)
                count += 1
            counts[item.op] = count
        return {item.op: counts[item.op] for item in eligible if counts[item.op]}


def _elements(item: Layer) -> int:
    return item.channel_weights + item.channel_features


def _weights(item: Layer) -> int:
    return item.channel_weights
