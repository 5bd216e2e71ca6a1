"""Accuracy on test images, in batches, with exactly the integers of the batch-1 path."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.data.augment import Augmentation
from mcusim.data.dataset import Split
from mcusim.data.preprocess import Preprocessor
from mcusim.engine.inference import Inference
from mcusim.engine.state import State
from mcusim.graph import Model, OpKind, Tensor
from mcusim.session.features import Features

Array = NDArray[Any]
CHUNK = 256


class Evaluation:
    """Evaluates the learning tail on the test images of ``features``."""

    def __init__(self, features: Features, *, reconstructs: bool = False) -> None:
        self._features, self._labels, self._reconstructs = features, features.labels, reconstructs

    def accuracy(self, state: State) -> float:
        """Return the fraction of test images that the current parameters classify correctly.

        For an autoencoder: the mean squared error of the reconstruction, in real units.
        """
        model, flow = state.trained(), self._features.flow
        tail = Inference(model, flow.ops[flow.front :], flow.boundary, batch=64)
        logits = model.tensors[flow.logits]
        total = 0.0
        for start in range(0, len(self._labels), CHUNK):
            index = np.arange(start, min(start + CHUNK, len(self._labels)))
            outputs = tail.run(np.stack(self._features.rows("test", index)))
            if self._reconstructs:
                wrong = reals(outputs, logits) - self._features.targets("test", index).reshape(len(index), -1)
                total += float(np.square(wrong, dtype=np.float64).mean(axis=1).sum())
            else:
                total += float((predictions(outputs, logits) == self._labels[index]).sum())
        return total / len(self._labels)


def predictions(outputs: Array, logits: Tensor) -> NDArray[np.int64]:
    """Return the class of each row of outputs; integer logits are compared as the reals they stand for."""
    return np.asarray(reals(outputs, logits).argmax(axis=1), np.int64)


def reals(outputs: Array, tensor: Tensor) -> Array:
    """Return the real values of outputs ``(n, ...)`` as ``(n, elements)`` float32."""
    flat = outputs.reshape(len(outputs), -1)
    if tensor.quant is None:
        return flat
    return (flat.astype(np.float32) - np.float32(tensor.quant.zero_point)) * tensor.quant.scale


def evaluate(model: Model, split: Split) -> float:
    """Return the accuracy of a network as it is on a split, in 0..1.

    A final int8 SOFTMAX takes part and may round two classes to the same value; the first then counts,
    as for any TFLite runtime. Training looks at the logits before it.

    Args:
        model: the network, trained or not.
        split: examples with their labels, e.g. ``data.test``.
    """
    prepare = Preprocessor(model, split.image_shape, split.images.dtype.name, augmentation=Augmentation())
    prepare.check_range(split.images)
    inference = Inference(model)
    classes = model.ops[-1].kind is OpKind.ARG_MAX
    correct = 0
    for start in range(0, len(split), CHUNK):
        index = np.arange(start, min(start + CHUNK, len(split)))
        outputs = inference.run(prepare(split.images[index]))
        found = outputs.reshape(-1) if classes else predictions(outputs, model.output)
        correct += int((found == split.labels[index]).sum())
    return correct / len(split)
