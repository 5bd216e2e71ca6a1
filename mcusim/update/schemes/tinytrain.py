"""TinyTrain-style: layers and channels by a Fisher criterion per memory and computation.

Source: Kwon et al., TinyTrain, arXiv 2307.09988 (ICML 2024). A layer's potential P is the sum of its
channels' Fisher information; its score is P / (W / max W * M / max M) with W its weights and M the
multiply-accumulates of its weight gradient. Layers are taken by score, in each the channels of largest
Fisher information, until the budget is spent.

There, the Fisher information of everything is computed at once before training, which needs the memory of
a dense step. Here it is gathered inside the budget: in the first stages the channels take turns, and learn
meanwhile; once all were observed, the choice is made, and made anew in every later stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from mcusim.core import BadArgument
from mcusim.graph import Model
from mcusim.update import choosing
from mcusim.update.budget import Budget, RemainingBudget, check_limits
from mcusim.update.channels import Layer
from mcusim.update.cost import Cost, selected, selection_cost
from mcusim.update.eligible import Candidates, candidates
from mcusim.update.policy import POLICIES, Choice, observed
from mcusim.update.quota import quota
from mcusim.update.selection import Channels, Scope, Selection
from mcusim.update.spelling import spelled
from mcusim.update.statistics import Statistics


@dataclass(frozen=True, slots=True)
class TinyTrain:
    """TinyTrain (arXiv 2307.09988): a Fisher criterion under a budget of weights and stored elements.

    Attributes:
        ratio, elements: the budget, as in ``trady``.
        stage: iterations of a stage.
        channels: largest fraction of the channels of one layer that learns.
        layers, blocks, bias_blocks: where to choose from, as in ``dynamic``.
    """

    ratio: float | None = 0.02
    elements: int | None = None
    stage: int = 200
    channels: float = 0.5
    layers: str = "expand"
    blocks: int = 7
    bias_blocks: int | None = None

    def __post_init__(self) -> None:
        check_limits(self.ratio, self.elements)
        if self.stage < 1:
            raise BadArgument(f"stage {self.stage}", "is less than 1", "use at least 1")
        if not 0 < self.channels <= 1:
            raise BadArgument(f"channels {self.channels}", "is not in (0, 1]", "try 0.5")

    @property
    def name(self) -> str:
        """Canonical text."""
        return spelled("tinytrain", self)

    @property
    def needs(self) -> frozenset[str]:
        """Fisher information of the channels that learn."""
        return frozenset({"fisher"})

    def scope(self, model: Model) -> Scope:
        """Return the most channels each layer can have, probing included."""
        where, budget = self._where(model), self._budget(model)
        probing = quota(where.layers, budget)
        counts = {
            item.op: max(probing[item.op], min(budget.most(item), self._most(item))) for item in where.layers
        }
        learning = {op: count for op, count in counts.items() if count}
        return Scope(
            learning,
            tuple(learning),
            where.biases,
            where.head,
            fixed=False,
            limits=budget.shared_by(where.layers),
        )

    def probing_stages(self, model: Model) -> int:
        """Return after how many stages every channel of the eligible layers was observed."""
        eligible = self._where(model).layers
        counts = quota(eligible, self._budget(model))
        return max(-(-item.channels // counts[item.op]) for item in eligible if counts[item.op])

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return the channels whose turn it is, or those of the criterion.

        Raises:
            BadArgument: if the criterion is due and there are no statistics.
        """
        where = self._where(model)
        if stage_index < self.probing_stages(model):
            counts = quota(where.layers, self._budget(model))
            channels = {
                item.op: POLICIES["round-robin"].choose(
                    Choice(model, item, counts[item.op], i, stage_index, seed)
                )
                for i, item in enumerate(where.layers)
                if counts[item.op]
            }
        else:
            channels = self._by_fisher(model, where.layers, statistics)
        return Selection(channels, where.biases, where.head)

    def layout(self, model: Model) -> dict[str, tuple[int, int, float]]:
        """Return of each layer: channels that take turns, the most that learn later, and its measure."""
        where = self._where(model)
        turns, takes = quota(where.layers, self._budget(model)), _measures(model, where.layers)
        return {item.op: (turns[item.op], self._most(item), takes[item.op]) for item in where.layers}

    def cost(self, model: Model) -> Cost:
        """Return the memory and work of gathering and scoring."""
        scope = self.scope(model)
        channels = [item.channels for item in self._where(model).layers]
        by_fisher = choosing.ranked(channels) + choosing.largest(selected(model, scope))
        stage = max(choosing.orders(channels), by_fisher)
        return selection_cost(model, scope, self.needs, stage=stage)

    def _by_fisher(
        self, model: Model, eligible: tuple[Layer, ...], statistics: Statistics | None
    ) -> dict[str, Channels]:
        fisher = {item.op: observed(statistics, "fisher", item) for item in eligible}
        if not any(seen.any() for _, seen in fisher.values()):
            raise BadArgument(
                f"scheme {self.name}", "has no Fisher information", "gather 'fisher' from the start"
            )
        takes = _measures(model, eligible)

        def score(item: Layer) -> float:
            # Added from first to last: the same on every machine.
            return float(np.add.accumulate(fisher[item.op][0])[-1]) / takes[item.op]

        remaining = RemainingBudget(self._budget(model))
        chosen: dict[str, Channels] = {}
        for item in sorted(eligible, key=lambda item: -score(item)):
            order = np.argsort(-fisher[item.op][0], kind="stable")
            count = 0
            while count < self._most(item) and remaining.affords(item):
                remaining.spend(item)
                count += 1
            chosen[item.op] = np.sort(order[:count]).astype(np.int32)
        return {item.op: chosen[item.op] for item in eligible if chosen[item.op].size}

    def _most(self, item: Layer) -> int:
        return max(1, int(item.channels * self.channels))

    def _where(self, model: Model) -> Candidates:
        return candidates(model, self.blocks, self.layers, self.bias_blocks)

    def _budget(self, model: Model) -> Budget:
        return Budget.of(model, ratio=self.ratio, elements=self.elements)


def _measures(model: Model, eligible: tuple[Layer, ...]) -> dict[str, float]:
    """Return weights and work of each layer beside the most of any: W / max W * (M / max M)."""
    work = {item.op: _gradient_macs(model, item) for item in eligible}
    most_weights, most_work = max(item.weights for item in eligible), max(work.values())
    return {item.op: item.weights / most_weights * (work[item.op] / most_work) for item in eligible}


def _gradient_macs(model: Model, item: Layer) -> int:
    """Return the multiply-accumulates of the weight gradient: one for each weight and output pixel."""
    return item.weights * prod(model.tensors[model.op(item.op).output].shape[:-1])
