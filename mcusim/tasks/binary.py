"""Yes or no."""

from __future__ import annotations

import numpy as np

from mcusim.graph import Model
from mcusim.tasks.metric import Metric
from mcusim.tasks.multi_label import MultiLabel
from mcusim.tasks.task import Array


class Binary(MultiLabel):
    """Sigmoid cross-entropy of one output against a label 0 or 1; the metric is the accuracy."""

    name = "binary"
    metric = Metric("accuracy", "%")

    def misfit(self, model: Model) -> str:
        """Return why the output is not a single score."""
        return "" if model.output.elements == 1 else "that needs one output"

    def prepared(self, targets: Array | None, model: Model) -> Array:
        """Return the labels as uint8 ``[N, 1]``."""
        if (
            targets is None or targets.dtype.kind not in "iu" or targets.ndim != 1
            or int(targets.min()) < 0 or int(targets.max()) > 1
        ):  # fmt: skip
            raise self.wrong(targets, "one label 0 or 1 an example", model)
        return targets.astype(np.uint8).reshape(-1, 1)
