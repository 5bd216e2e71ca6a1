"""One class of several."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcusim.core import BadData
from mcusim.core.wording import choice
from mcusim.graph import Model, OpKind
from mcusim.tasks.metric import Metric
from mcusim.tasks.single_label import SingleLabel
from mcusim.tasks.task import Array, Loss, Reals


class Classification(SingleLabel):
    """Softmax cross-entropy against the number of the class; the metric is the accuracy.

    A network that ends in a sigmoid for each class learns through a softmax over the same logits.
    """

    name = "classification"
    metric = Metric("accuracy", "%")
    link = frozenset({OpKind.SOFTMAX, OpKind.LOG_SOFTMAX, OpKind.ARG_MAX, OpKind.LOGISTIC})

    def misfit(self, model: Model) -> str:
        """Return why the output is no vector of at least two scores."""
        if model.ops[-1].kind is OpKind.ARG_MAX:
            return "" if model.output.elements == 1 else "that needs one vector of scores"
        if model.output.elements != model.output.shape[-1]:
            return "that needs one vector of scores"
        return "" if model.output.elements > 1 else "that needs a score for each of at least two classes"

    def prepared(self, targets: Array | None, model: Model) -> Array:
        """Return the classes as int64 ``[N]``."""
        if targets is None or targets.dtype.kind not in "iu" or targets.ndim != 1:
            raise self.wrong(targets, "one class number an example", model)
        if model.ops[-1].kind is not OpKind.ARG_MAX and int(targets.max()) >= model.classes:
            raise BadData(
                f"labels up to {int(targets.max())}",
                f"do not fit a network with {model.classes} outputs",
                f"load the network with {choice('classes', int(targets.max()) + 1)}",
            )
        return targets.astype(np.int64, copy=False)

    def smoothed(self, smoothing: float) -> Loss:
        """Return -log softmax(output)[target], smoothed; write softmax(output) - onehot(target), smoothed."""
        from mcusim.kernels.loss import SoftmaxCrossEntropy

        return SoftmaxCrossEntropy(smoothing)

    def score(self, output: Reals, target: Any) -> float:
        """Return 1.0 if the highest score is that of the class."""
        return float(output.argmax() == target)
