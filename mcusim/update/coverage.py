"""Which part of the eligible layers was visited over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.graph import Model
from mcusim.update.channels import require
from mcusim.update.selection import Scope, Selection


class Coverage:
    """Counts how often each channel of a scheme's eligible layers learnt.

    Attributes:
        visits: op name -> number of stages each channel learnt in, int64.
    """

    def __init__(self, model: Model, scope: Scope) -> None:
        self._layers = {op: require(model, op) for op in scope.eligible}
        self.visits = {op: np.zeros(item.channels, np.int64) for op, item in self._layers.items()}

    def add(self, selection: Selection) -> None:
        """Count one stage."""
        for op, chosen in selection.channels.items():
            self.visits[op][chosen] += 1

    @property
    def weights(self) -> int:
        """Number of weights in the eligible layers."""
        return sum(item.weights for item in self._layers.values())

    @property
    def visited_weights(self) -> int:
        """Number of weights that learnt at least once."""
        return sum(
            int(np.count_nonzero(self.visits[op])) * item.channel_weights for op, item in self._layers.items()
        )

    @property
    def fraction(self) -> float:
        """Visited weights as a fraction of the eligible layers; 1 for no eligible layers."""
        return self.visited_weights / self.weights if self.weights else 1.0

    def by_layer(self) -> dict[str, float]:
        """Return the visited fraction of every eligible layer."""
        return {op: np.count_nonzero(visits) / visits.size for op, visits in self.visits.items()}

    def restore(self, visits: dict[str, NDArray[np.int64]]) -> None:
        """Take over the visits of a checkpoint.

        Raises:
            BadArgument: if they are not those of the same eligible layers.
        """
        if {op: v.shape for op, v in visits.items()} != {op: v.shape for op, v in self.visits.items()}:
            raise BadArgument("saved coverage", "is of another model or scheme", "start without it")
        self.visits = {op: np.array(v, np.int64) for op, v in visits.items()}
