"""A scheme as another package would bring it: one class. Its pyproject.toml would say

[project.entry-points."mcusim.schemes"]
every-other = "a_plugin:EveryOther"
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcusim.graph import Model
from mcusim.update import Cost, Scope, Selection, Statistics
from mcusim.update.channels import layers
from mcusim.update.spelling import spelled


@dataclass(frozen=True)
class EveryOther:
    """Every other channel of the last layer that expands."""

    offset: int = 0

    stage = None
    needs = frozenset()

    @property
    def name(self) -> str:
        return spelled("every-other", self)

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        op, item = [(op, item) for op, item in layers(model).items() if op.endswith("expand")][-1]
        return Selection({op: np.arange(self.offset, item.channels, 2, dtype=np.int32)})

    def scope(self, model: Model) -> Scope:
        return Scope.of(self.select(model, 0, 0))

    def cost(self, model: Model) -> Cost:
        return Cost()
