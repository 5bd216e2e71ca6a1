"""The low-rank adapters of a network learn, and what they stand beside does not.

Source: LoRA, arXiv 2106.09685; see ``mcusim.update.adapters`` for how a network gets them.
"""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import BadArgument
from mcusim.core.wording import choice
from mcusim.graph import Model
from mcusim.graph.outputs import heads
from mcusim.update.adapters import adapters
from mcusim.update.channels import biases, every_channel, last
from mcusim.update.fixed import Fixed
from mcusim.update.selection import Selection
from mcusim.update.spelling import spelled
from mcusim.update.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Adapters(Fixed):
    """LoRA (arXiv 2106.09685): all weights of the low-rank adapters, and the head.

    Attributes:
        biases: of how many of the last convolutions the bias learns too.
    """

    biases: int = 0

    def __post_init__(self) -> None:
        if self.biases < 0:
            raise BadArgument(f"biases {self.biases}", "is less than 0", "use at least 0")

    @property
    def name(self) -> str:
        """Canonical text."""
        return spelled("adapters", self)

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return all channels of the adapters.

        Raises:
            BadArgument: if the network has none.
        """
        found = adapters(model)
        if not found:
            raise BadArgument(
                f"model {model.name}", "has no adapters", f"load it with {choice('adapters', 4)}"
            )
        learning = biases(model, last(model, self.biases)) if self.biases else ()
        return Selection(every_channel(model, found), learning, head=bool(heads(model)))
