"""Everything learns: the reference that the savings of all other schemes are measured against."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.graph import Model
from mcusim.graph.outputs import heads
from mcusim.update.channels import biases, every_channel, trunk
from mcusim.update.fixed import Fixed
from mcusim.update.selection import Selection
from mcusim.update.spelling import spelled
from mcusim.update.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Dense(Fixed):
    """All weights and biases of the network."""

    @property
    def name(self) -> str:
        """Canonical text."""
        return spelled("dense", self)

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return every channel of every layer."""
        ops = trunk(model)
        return Selection(every_channel(model, ops), biases(model, ops), head=bool(heads(model)))
