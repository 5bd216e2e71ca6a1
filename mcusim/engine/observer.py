"""Fills the statistics that a scheme selects by, from gradients the step computes anyway."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.engine.learning import Learner
from mcusim.kernels.columns import gather, of_outputs
from mcusim.kernels.qas import qas_weight
from mcusim.lowering.step import Step
from mcusim.update import observe
from mcusim.update.statistics import Statistics

Array = NDArray[Any]


class Observer:
    """Adds what one layer's weight gradient shows to the accumulators that exist."""

    def __init__(self, statistics: Statistics, step: Step) -> None:
        self._statistics, self._tensors = statistics, step.model.tensors
        self._qas: dict[str, Array] = {}

    def take(self, learner: Learner, error: Array, scale: float) -> None:
        """Observe the gradient of a layer's learning channels and the error at its output."""
        name, channels, gradient = learner.op.name, learner.channels, learner.weight_gradient
        for kind, ops in self._statistics.sums.items():
            if name not in ops:
                continue
            if kind == "gradient-norm":
                amounts = observe.gradient_norm(gradient, self._factors(learner))
                self._statistics.add(kind, name, amounts, channels)
            elif kind == "fisher":
                weights = gather(learner.op, learner.weight, channels, learner.inputs)
                self._statistics.add(kind, name, observe.fisher(gradient, weights), channels)
            else:
                self._statistics.add(kind, name, observe.error_norm(error, scale))

    def _factors(self, learner: Learner) -> Array:
        """Return 1 / s_W**2 of each output that a channel meets."""
        name = learner.op.name
        if name not in self._qas:
            self._qas[name] = qas_weight(learner.op, self._tensors)
        shape = learner.weight.shape
        found = of_outputs(learner.op, self._qas[name], shape, learner.channels, learner.inputs)
        return np.ascontiguousarray(found)
