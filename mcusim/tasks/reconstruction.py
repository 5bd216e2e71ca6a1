"""The input again, through a bottleneck."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcusim.graph import Model, Tensor
from mcusim.tasks.metric import Metric
from mcusim.tasks.task import Array, Loss, Reals, Task


class Reconstruction(Task):
    """Mean squared error against the network's own input, which therefore stays in SRAM until the loss."""

    name = "reconstruction"
    metric = Metric("mean squared error", higher_is_better=False)
    # As for regression, and the target's zero point and scale.
    float_ops = 6
    reads_input = True
    has_places = True

    def misfit(self, model: Model) -> str:
        """Return why the output cannot be compared with the input."""
        if model.states:
            return "it keeps state, and what it takes is a sequence"
        if len(model.inputs) > 1:
            return f"it takes {len(model.inputs)} inputs, and that needs one"
        if model.output.elements == model.input.elements:
            return ""
        return f"it takes {model.input.elements:,} numbers and gives {model.output.elements:,}"

    def target(self, model: Model) -> Tensor | None:
        """Return the input itself."""
        return model.input

    def prepared(self, targets: Array | None, model: Model) -> Array:
        """Return nothing: whatever labels there are, they are not used."""
        return np.zeros(0, np.float32)

    def loss(self) -> Loss:
        """Return mean((output - target)**2); write 2 (output - target) / n."""
        from mcusim.kernels.loss import MeanSquaredError

        return MeanSquaredError()

    def score(self, output: Reals, target: Any) -> float:
        """Return the mean squared error of one example, in the input's real units."""
        return float(np.square(output - target, dtype=np.float64).mean())
