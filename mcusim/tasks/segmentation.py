"""A class for every pixel."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcusim.core import Kind, Slot
from mcusim.graph import Model, OpKind, Tensor
from mcusim.tasks.metric import Metric
from mcusim.tasks.single_label import SingleLabel
from mcusim.tasks.task import Array, Loss, Reals


class Segmentation(SingleLabel):
    """Softmax cross-entropy of every pixel against a mask, the mean over pixels.

    The output is ``[1, H, W, C]`` and a mask ``[H, W]``; the metric is the fraction of pixels told right.
    """

    name = "segmentation"
    metric = Metric("pixel accuracy", "%")
    link = frozenset({OpKind.SOFTMAX})
    has_places = True

    def misfit(self, model: Model) -> str:
        """Return why the output is no picture of scores."""
        shape = model.output.shape
        if len(shape) != 4 or shape[1] * shape[2] == 1:
            return "that needs an output [1, H, W, C]"
        return "" if 2 <= shape[3] <= 256 else "that needs 2 to 256 classes in the last dimension"

    def target(self, model: Model) -> Tensor | None:
        """Return a byte a pixel."""
        return Tensor(Slot(model.outputs[0], Kind.TARGET), model.output.shape[:3], "uint8")

    def prepared(self, targets: Array | None, model: Model) -> Array:
        """Return the masks as uint8 ``[N, H, W]``."""
        _, height, width, classes = model.output.shape
        if (
            targets is None or targets.dtype.kind not in "iu" or targets.shape[1:] != (height, width)
            or int(targets.min()) < 0 or int(targets.max()) >= classes
        ):  # fmt: skip
            raise self.wrong(targets, f"integers 0 to {classes - 1} of shape (N, {height}, {width})", model)
        return targets.astype(np.uint8)

    def smoothed(self, smoothing: float) -> Loss:
        """Return the mean over pixels of the cross-entropy with the smoothed class; write its gradient."""
        from mcusim.kernels.loss import SoftmaxCrossEntropy

        return SoftmaxCrossEntropy(smoothing)

    def score(self, output: Reals, target: Any) -> float:
        """Return the fraction of pixels whose highest score is that of their class."""
        return float((output.reshape(target.size, -1).argmax(axis=1) == target).mean())
