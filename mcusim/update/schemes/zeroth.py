"""Channels and biases learn from two forward passes, without a backward one.

Source: MeZO, Malladi et al., arXiv 2305.17333 (NeurIPS 2023): simultaneous perturbation (SPSA) whose
direction is drawn again from a seed wherever it is needed, so that nothing of the size of the gradient is
kept. In integers and with a classifier that learns by its gradient, as in ElasticZO-INT8, arXiv 2501.04287;
of few parameters at a time, as in Sparse MeZO, arXiv 2402.15751.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mcusim.core import BadArgument
from mcusim.graph import Model
from mcusim.update.cost import Cost
from mcusim.update.schemes.dynamic import Dynamic
from mcusim.update.selection import Scope, Selection
from mcusim.update.spelling import spelled
from mcusim.update.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Zeroth:
    """MeZO in integers (arXiv 2305.17333): random channels and biases learn by two forward passes.

    In each step every selected weight moves ``step`` units up or down, every learning bias as far as moves
    the output by ``step`` units; the frozen front runs once, the rest with these parameters and with those
    moved the other way. What learns then steps along the direction by the difference of the two losses over
    its length. The direction is drawn from seed, iteration and place, never kept. The classifier learns by
    its gradient, which needs no more than its own input.

    Attributes:
        ratio: most of the convolution weights that learn in one iteration, as a fraction.
        stage: iterations between redraws of the channels; ``None`` for one draw before training.
        blocks: how many of the last blocks learn; where there are fewer, all.
        layers: which layers of these blocks, as for ``dynamic``.
        bias_blocks: how many of the last blocks have learning biases; ``None`` for ``blocks``.
        step: units of an integer weight by which it is moved.

    Raises:
        BadArgument: if a parameter is out of its range.
    """

    ratio: float = 0.02
    stage: int | None = 1
    blocks: int = 7
    layers: str = "expand"
    bias_blocks: int | None = None
    step: int = 1

    def __post_init__(self) -> None:
        _ = self.drawn
        if not 1 <= self.step <= 127:
            raise BadArgument(f"step {self.step}", "is not in [1, 127]", "use few units")

    @property
    def drawn(self) -> Dynamic:
        """The scheme that draws the same channels."""
        return Dynamic(self.ratio, self.stage, self.blocks, self.layers, bias_blocks=self.bias_blocks)

    @property
    def name(self) -> str:
        """Canonical text."""
        return spelled("zeroth", self)

    @property
    def needs(self) -> frozenset[str]:
        """Nothing is observed."""
        return frozenset()

    def scope(self, model: Model) -> Scope:
        """Return the layers, the fixed number of channels of each, and how far weights are moved.

        Raises:
            BadArgument: if not even one channel fits in the budget, or given numbers exceed it.
            UnknownName: if the model does not have a layer.
        """
        return replace(self.drawn.scope(model), perturbation=self.step)

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return the channels of one stage."""
        return self.drawn.select(model, stage_index, seed, statistics)

    def cost(self, model: Model) -> Cost:
        """Return the memory and the work of drawing channels."""
        return self.drawn.cost(model)
