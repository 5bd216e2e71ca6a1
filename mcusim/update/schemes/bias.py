"""Biases and the classifier learn.

Source: TinyTL, arXiv 2007.11622: biases need no saved features, only masks. The last-n form is one
of the baselines of tiny-training, arXiv 2206.15472, figure 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mcusim.graph import Model
from mcusim.graph.outputs import heads
from mcusim.update.channels import biases, last
from mcusim.update.fixed import Fixed
from mcusim.update.selection import Selection
from mcusim.update.spelling import spelled
from mcusim.update.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Bias(Fixed):
    """The biases of the last ``layers`` convolutions, or of all, and the head."""

    positional: ClassVar[str] = "layers"
    layers: int | None = None

    @property
    def name(self) -> str:
        """Canonical text."""
        return spelled("bias", self)

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return the biases.

        Raises:
            BadArgument: if the model has fewer layers.
        """
        return Selection({}, biases(model, last(model, self.layers)), head=bool(heads(model)))
