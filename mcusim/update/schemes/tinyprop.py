"""TinyProp-style: as many channels as the error calls for, those with the largest gradients.

Source: Rüb et al., TinyProp, arXiv 2308.09201, and the authors' code: the fraction of a layer that learns
is (s_min + Y (s_max - s_min) / Y_max) * damping^depth, with Y the L1 norm of the error at the layer, Y_max
the largest seen so far and depth the layer's number counted from the output; at least one.

There, the largest output errors of each iteration are chosen. Here features are saved by input channel
before the error is known, so the choice is made for a stage from what the last ones showed: the channels
with the largest gradients, those never observed first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcusim.core import BadArgument
from mcusim.graph import Model
from mcusim.update import choosing
from mcusim.update.cost import Cost, selected, selection_cost
from mcusim.update.eligible import candidates
from mcusim.update.policy import POLICIES, Choice
from mcusim.update.selection import Scope, Selection
from mcusim.update.spelling import spelled
from mcusim.update.statistics import Statistics


@dataclass(frozen=True, slots=True)
class TinyProp:
    """TinyProp (arXiv 2308.09201): an adaptive fraction of the channels of each layer.

    Attributes:
        s_min, s_max: fraction of a layer's channels at no error and at the largest error.
        damping: factor from one layer to the one before it.
        stage: iterations of a stage.
        layers, blocks, bias_blocks: where to choose from, as in ``dynamic``.
    """

    s_min: float = 0.01
    s_max: float = 0.05
    damping: float = 0.95
    stage: int = 200
    layers: str = "expand"
    blocks: int = 7
    bias_blocks: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.s_min <= self.s_max <= 1:
            raise BadArgument(
                f"s_min {self.s_min} and s_max {self.s_max}", "are not 0 <= s_min <= s_max <= 1", "swap them?"
            )
        if not 0 < self.damping <= 1:
            raise BadArgument(f"damping {self.damping}", "is not in (0, 1]", "try 0.95")
        if self.stage < 1:
            raise BadArgument(f"stage {self.stage}", "is less than 1", "use at least 1")

    @property
    def name(self) -> str:
        """Canonical text."""
        return spelled("tinyprop", self)

    @property
    def needs(self) -> frozenset[str]:
        """Error norms of the layers, gradient norms of the channels that learn."""
        return frozenset({"error-norm", "gradient-norm"})

    def scope(self, model: Model) -> Scope:
        """Return the numbers of channels at the largest error: a plan for these serves every stage."""
        where = candidates(model, self.blocks, self.layers, self.bias_blocks)
        counts = {
            item.op: self._count(item.channels, 1.0, depth)
            for depth, item in zip(range(len(where.layers) - 1, -1, -1), where.layers, strict=True)
        }
        return Scope(counts, tuple(counts), where.biases, where.head, fixed=False)

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return the channels of one stage."""
        where = candidates(model, self.blocks, self.layers, self.bias_blocks)
        policy = POLICIES["gradient-norm"]
        channels = {}
        for place, item in enumerate(where.layers):
            error = _relative_error(statistics, item.op)
            count = self._count(item.channels, error, len(where.layers) - 1 - place)
            choice = Choice(model, item, count, place, stage_index, seed, statistics)
            channels[item.op] = policy.choose(choice)
        return Selection(channels, where.biases, where.head)

    def cost(self, model: Model) -> Cost:
        """Return the memory and work of gathering and scoring."""
        scope = self.scope(model)
        layers = selected(model, scope)
        stage = choosing.largest(layers) + choosing.damped(len(layers))
        return selection_cost(model, scope, self.needs, stage=stage)

    def _count(self, channels: int, error: float, depth: int) -> int:
        fraction = self.s_min + error * (self.s_max - self.s_min)
        for _ in range(depth):
            fraction *= self.damping
        return min(max(int(channels * fraction), 1), channels)


def _relative_error(statistics: Statistics | None, op: str) -> float:
    """Return Y / Y_max of an op, 1 where nothing was observed."""
    latest = statistics.get("error-norm", op) if statistics else None
    if statistics is None or latest is None or not np.isfinite(latest[0]):
        return 1.0
    peak = float(statistics.peaks["error-norm"][op][0])
    return float(latest[0]) / peak if peak > 0 else 1.0
