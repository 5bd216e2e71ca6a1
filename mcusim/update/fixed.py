"""What schemes have in common whose selection never changes."""

from __future__ import annotations

from abc import ABC, abstractmethod

from mcusim.graph import Model
from mcusim.update.cost import Cost
from mcusim.update.selection import Scope, Selection
from mcusim.update.statistics import Statistics


class Fixed(ABC):
    """Base of a scheme with one selection for the whole training: only ``select`` is left to write."""

    __slots__ = ()

    @property
    def stage(self) -> int | None:
        """``None``: the selection never changes."""
        return None

    @property
    def needs(self) -> frozenset[str]:
        """No statistics."""
        return frozenset()

    @abstractmethod
    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return what learns."""

    def scope(self, model: Model) -> Scope:
        """Return exactly what is selected."""
        return Scope.of(self.select(model, 0, 0))

    def cost(self, model: Model) -> Cost:
        """Return no cost: the selection is made before the device starts."""
        return Cost()
