"""Real numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcusim.core import BadData, Kind, Slot
from mcusim.graph import Model, Tensor
from mcusim.tasks.metric import Metric
from mcusim.tasks.task import Array, Loss, Reals, Task


class Regression(Task):
    """Mean squared error against real-valued targets; the metric is the mean absolute error."""

    name = "regression"
    metric = Metric("mean absolute error", higher_is_better=False)
    # A difference, its square, the sum, and the product that is the gradient.
    float_ops = 4

    def target(self, model: Model) -> Tensor | None:
        """Return a float32 for each output."""
        return Tensor(Slot(model.outputs[0], Kind.TARGET), model.output.shape, "float32")

    def prepared(self, targets: Array | None, model: Model) -> Array:
        """Return the targets as float32 ``[N, *output]``."""
        shape, count = model.output.shape[1:], model.output.elements
        if targets is None or targets.dtype.kind != "f" or targets.size != len(targets) * count:
            raise self.wrong(targets, f"float32 of shape (N{''.join(f', {n}' for n in shape)})", model)
        if not np.isfinite(targets).all():
            raise BadData("targets", "hold values that are no finite numbers", "clean the data")
        return targets.astype(np.float32, copy=False).reshape(len(targets), *shape)

    def loss(self) -> Loss:
        """Return mean((output - target)**2); write 2 (output - target) / n."""
        from mcusim.kernels.loss import MeanSquaredError

        return MeanSquaredError()

    def score(self, output: Reals, target: Any) -> float:
        """Return the mean absolute error of one example, in the targets' unit."""
        return float(np.abs(output - target, dtype=np.float64).mean())
