"""The last K convolutions learn as a whole, weights and biases, with the classifier.

Source: the baseline of tiny-training, arXiv 2206.15472, figure 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mcusim.graph import Model
from mcusim.graph.outputs import heads
from mcusim.update.channels import biases, every_channel, last
from mcusim.update.fixed import Fixed
from mcusim.update.selection import Selection
from mcusim.update.spelling import spelled
from mcusim.update.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Last(Fixed):
    """Weights and biases of the last ``layers`` convolutions, and the head."""

    positional: ClassVar[str] = "layers"
    layers: int

    @property
    def name(self) -> str:
        """Canonical text."""
        return spelled("last", self)

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return all channels of the last layers.

        Raises:
            BadArgument: if the model has fewer layers.
        """
        ops = last(model, self.layers)
        return Selection(every_channel(model, ops), biases(model, ops), head=bool(heads(model)))
