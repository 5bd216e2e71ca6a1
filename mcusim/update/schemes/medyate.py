"""MeDyate: layers ranked offline, channels drawn each epoch with probability by importance.

Source: Quélennec et al., Memory Constrained Dynamic Subnetwork Update for Transfer Learning,
arXiv 2510.20979. The importance of a channel is the gradient norm last observed, re-weighted by the memory
it takes; one that was never observed counts as the average.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Model
from mcusim.update import choosing
from mcusim.update.channels import Layer
from mcusim.update.cost import Cost, bought, selected, selection_cost
from mcusim.update.draw import Draws
from mcusim.update.policy import mean, observed
from mcusim.update.ranking import reweighted
from mcusim.update.resample import Resampled, check, sites
from mcusim.update.selection import Channels, Scope, Selection
from mcusim.update.spelling import spelled
from mcusim.update.statistics import Statistics


@dataclass(frozen=True, slots=True)
class MeDyate:
    """MeDyate (arXiv 2510.20979): draws weighted by importance; the parameters are those of ``trady``."""

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
        return spelled("medyate", self)

    @property
    def needs(self) -> frozenset[str]:
        """Gradient norms of the channels that learn."""
        return frozenset({"gradient-norm"})

    def scope(self, model: Model) -> Scope:
        """Return the layers and the most channels of each."""
        return Resampled.of(self, model).scope()

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return the channels of one epoch; before anything was observed, uniform draws."""
        resampled = Resampled.of(self, model)
        draws = Draws(seed, stage_index)
        chances = dict(zip(resampled.eligible, _chances(resampled.eligible, statistics), strict=True))
        if self.even:

            def choose(item: Layer, count: int) -> Channels:
                return np.sort(draws.weighted(chances[item], count))

            return resampled.even(choose)
        places = sites(resampled.eligible)
        order = draws.weighted(np.concatenate(list(chances.values())), len(places))
        return resampled.spent(places[order])

    def cost(self, model: Model) -> Cost:
        """Return the memory and work of gathering, scoring and drawing."""
        scope = self.scope(model)
        pairs = selected(model, scope) if self.even else [bought(model, scope)]
        stage = sum(choosing.weighted(count, of, by_size=True) for count, of in pairs)
        return selection_cost(model, scope, self.needs, stage=stage)


def _chances(eligible: tuple[Layer, ...], statistics: Statistics | None) -> list[NDArray[np.float64]]:
    """Return the importance of every channel of the eligible layers; 1 for all where none was observed."""
    found = [observed(statistics, "gradient-norm", item) for item in eligible]
    scores = [reweighted(norms, item) for item, (norms, _) in zip(eligible, found, strict=True)]
    known = [score[seen] for score, (_, seen) in zip(scores, found, strict=True)]
    everything = np.concatenate(known)
    if not everything.any():
        return [np.ones(item.channels) for item in eligible]
    return [
        np.where(seen, score, mean(mine if mine.size else everything))
        for score, mine, (_, seen) in zip(scores, known, found, strict=True)
    ]
