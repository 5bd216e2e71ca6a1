"""Only the classifier learns: the cheapest kind of transfer learning."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.graph import Model
from mcusim.update.fixed import Fixed
from mcusim.update.selection import Selection
from mcusim.update.spelling import spelled
from mcusim.update.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Head(Fixed):
    """The classifier's weights and bias."""

    @property
    def name(self) -> str:
        """Canonical text."""
        return spelled("head", self)

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return nothing but the head."""
        return Selection({}, (), head=True)
