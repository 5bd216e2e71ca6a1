"""Several labels, each of which applies or does not."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcusim.core import Kind, Slot
from mcusim.graph import Model, OpKind, Tensor
from mcusim.tasks.metric import Metric
from mcusim.tasks.task import Array, Loss, Reals, Task


class MultiLabel(Task):
    """Sigmoid cross-entropy, the mean over the labels; the metric is the fraction of labels told right."""

    name = "multi-label"
    metric = Metric("label accuracy", "%")
    link = frozenset({OpKind.LOGISTIC})
    # An exp and a logarithm of a degree-6 and a degree-9 polynomial (about 20 each), a division, a few sums.
    float_ops = 45

    def misfit(self, model: Model) -> str:
        """Return why the output is no vector of scores."""
        if model.ops[-1].kind in (OpKind.SOFTMAX, OpKind.ARG_MAX):
            return f"it ends in {model.ops[-1].kind}, which makes the labels exclude each other"
        if model.output.elements != model.output.shape[-1]:
            return "that needs one vector of scores"
        return "" if model.output.elements > 1 else "that needs at least two labels; one is binary"

    def target(self, model: Model) -> Tensor | None:
        """Return a byte a label."""
        return Tensor(Slot(model.outputs[0], Kind.TARGET), (1, model.output.elements), "uint8")

    def prepared(self, targets: Array | None, model: Model) -> Array:
        """Return the labels as uint8 ``[N, n]`` of zeros and ones."""
        count = model.output.elements
        if (
            targets is None or targets.dtype.kind not in "iu" or targets.ndim != 2
            or targets.shape[1] != count or int(targets.min()) < 0 or int(targets.max()) > 1
        ):  # fmt: skip
            raise self.wrong(targets, f"integers 0 and 1 of shape (N, {count})", model)
        return targets.astype(np.uint8)

    def loss(self) -> Loss:
        """Return the mean over labels of softplus(z) - t z; write (sigmoid(z) - t) / n."""
        from mcusim.kernels.loss import SigmoidCrossEntropy

        return SigmoidCrossEntropy()

    def score(self, output: Reals, target: Any) -> float:
        """Return the fraction of labels that the sign of the logit tells right."""
        return float(((output > 0) == target).mean())
