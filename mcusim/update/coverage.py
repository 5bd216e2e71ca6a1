"""Which part of the eligible layers was visited over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.graph import Model
from mcusim.update.channels import require
from mcusim.update.selection import Scope, Selection

TOGETHER = 256
"""Stages that are counted at once."""


class Coverage:
    """Counts how often each channel of a scheme's eligible layers learnt."""

    def __init__(self, model: Model, scope: Scope) -> None:
        self._layers = {op: require(model, op) for op in scope.eligible}
        self._visits = {op: np.zeros(item.channels, np.int64) for op, item in self._layers.items()}
        self._added: list[Selection] = []

    def add(self, selection: Selection) -> None:
        """Count one stage: many at once later, since some schemes begin one in every step."""
        self._added.append(selection)
        if len(self._added) == TOGETHER:
            self._count()

    @property
    def visits(self) -> dict[str, NDArray[np.int64]]:
        """Op name -> number of stages each channel learnt in."""
        self._count()
        return self._visits

    def _count(self) -> None:
        added, self._added = self._added, []
        for op, visits in self._visits.items():
            chosen = [selection.channels[op] for selection in added if op in selection.channels]
            if chosen:
                visits += np.bincount(np.concatenate(chosen), minlength=visits.size)

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
        self._added.clear()
        self._visits = {op: np.array(v, np.int64) for op, v in visits.items()}
