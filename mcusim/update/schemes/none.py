"""Nothing learns: inference alone, which every way of learning is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.graph import Model
from mcusim.update.fixed import Fixed
from mcusim.update.selection import Selection
from mcusim.update.spelling import spelled
from mcusim.update.statistics import Statistics


@dataclass(frozen=True, slots=True)
class NoUpdate(Fixed):
    """Nothing. A step is then the forward pass of the whole network, and no training can begin."""

    @property
    def name(self) -> str:
        """Canonical text."""
        return spelled("none", self)

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return the empty selection."""
        return Selection({}, (), head=False)
