"""TraDy: layers chosen offline, channels drawn uniformly in them each epoch under a memory budget.

Source: Quélennec et al., Study of Training Dynamics for Memory-Constrained Fine-Tuning, arXiv 2510.19675
(ICLR 2026).
"""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.graph import Model
from mcusim.update import choosing
from mcusim.update.cost import Cost, bought, selected, selection_cost
from mcusim.update.draw import Draws
from mcusim.update.resample import Resampled, check, sites
from mcusim.update.selection import Scope, Selection
from mcusim.update.spelling import spelled
from mcusim.update.statistics import Statistics


@dataclass(frozen=True, slots=True)
class TraDy:
    """TraDy (arXiv 2510.19675): uniform draws of channels under a budget of stored elements.

    Attributes:
        elements: most elements stored, weights and saved activations of the drawn channels; ``None``
            for no such limit. By default the smallest published budget for MobileNetV2-w0.35.
        ratio: most of the weights that learn in an iteration, as a fraction; ``None`` for no such limit.
        stage: iterations of an epoch, after which is drawn anew; by default one of CIFAR-10 at batch 1.
        layers: as in ``dynamic``; ``Ranking.spelled`` gives the published choice, the layers with 97 % of
            the re-weighted gradient norm. By default the expanding layers, since by the paper the first
            layer of a residual block has by far the largest norm.
        blocks: last blocks to choose from, as in ``dynamic``.
        bias_blocks: last blocks whose biases learn (the paper is silent); ``None`` for ``blocks``.
        even: ``False``, as published: any channel of any layer is as likely, until the budget is spent.
            ``True``: each layer has its expected number, so that one memory plan serves every stage.
    """

    elements: int | None = 27_946
    ratio: float | None = None
    stage: int = 50_000
    layers: str = "expand"
    blocks: int = 12
    bias_blocks: int | None = None
    even: bool = False

    def __post_init__(self) -> None:
        check(self)

    @property
    def name(self) -> str:
        """Canonical text."""
        return spelled("trady", self)

    @property
    def needs(self) -> frozenset[str]:
        """No statistics on the device."""
        return frozenset()

    def scope(self, model: Model) -> Scope:
        """Return the layers and the most channels of each."""
        return Resampled.of(self, model).scope()

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return the channels of one epoch."""
        resampled = Resampled.of(self, model)
        draws = Draws(seed, stage_index)
        if self.even:
            return resampled.even(lambda item, count: draws.subset(item.channels, count))
        places = sites(resampled.eligible)
        return resampled.spent(places[draws.permutation(len(places))])

    def cost(self, model: Model) -> Cost:
        """Return the memory and work of the draws."""
        scope = self.scope(model)
        if self.even:
            return selection_cost(model, scope, stage=choosing.subsets(selected(model, scope)))
        count, of = bought(model, scope)
        return selection_cost(model, scope, stage=choosing.subsets([(count + 1, of)]))
