"""The metric on test examples, in batches, with exactly the integers of the batch-1 path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.data.augment import Augmentation
from mcusim.data.dataset import Split
from mcusim.data.preprocess import Preprocessor
from mcusim.engine.inference import Inference
from mcusim.engine.state import State
from mcusim.graph import Model, OpKind, Tensor
from mcusim.lowering.gradients import trained_ops
from mcusim.session.features import Features
from mcusim.tasks.choice import Labels, choose
from mcusim.tasks.task import Task

Array = NDArray[Any]
CHUNK = 256


class Evaluation:
    """Evaluates the learning tail on one part of the examples of ``features``."""

    def __init__(self, features: Features, part: str, count: int) -> None:
        self._features, self._part, self._count = features, part, count

    def metric(self, state: State, pause: Callable[[], None] = lambda: None) -> float:
        """Return the task's metric on the examples with the current parameters.

        Args:
            state: the parameters.
            pause: called now and then, between examples; may raise to stop.
        """
        model, flow = state.trained(), self._features.flow
        tail = Inference(model, flow.ops[flow.front :], flow.boundary, batch=64)
        task, logits = self._features.task, model.tensors[flow.logits]
        target = task.target(model)
        total = 0.0
        for start in range(0, self._count, CHUNK):
            index = np.arange(start, min(start + CHUNK, self._count))
            outputs = tail.run(np.stack(self._features.rows(self._part, index)))
            wanted = self._features.targets(self._part, index)
            total += summed(task, reals(outputs, logits), wanted, target)
            pause()
        return total / self._count


def summed(task: Task, outputs: Array, targets: Array, target: Tensor | None) -> float:
    """Return the sum of the scores of examples, from their real outputs ``(n, elements)``."""
    wanted = targets if target is None else reals(targets, target)
    return sum(task.score(output, one) for output, one in zip(outputs, wanted, strict=True))


def predictions(outputs: Array, logits: Tensor) -> NDArray[np.int64]:
    """Return the class of each row of outputs; integer logits are compared as the reals they stand for."""
    return np.asarray(reals(outputs, logits).argmax(axis=1), np.int64)


def reals(outputs: Array, tensor: Tensor) -> Array:
    """Return the real values of outputs ``(n, ...)`` as ``(n, elements)`` float32."""
    flat = outputs.reshape(len(outputs), -1)
    if tensor.quant is None:
        return flat
    return (flat.astype(np.float32) - np.float32(tensor.quant.zero_point)) * tensor.quant.scale


def evaluate(model: Model, split: Split, task: Task | None = None) -> float:
    """Return the metric of a network as it is on a split: an accuracy is in 0..1.

    For classification a final int8 SOFTMAX takes part and may round two classes to the same value; the
    first then counts, as for any TFLite runtime. Training looks at the logits before it.

    Args:
        model: the network, trained or not.
        split: examples with their labels, e.g. ``data.test``.
        task: what it is for; what the network and the labels say by default.
    """
    task = task or choose(model, labels=Labels(split.labels))
    task.require(model)
    prepare = Preprocessor(model, split.image_shape, split.images.dtype.name, augmentation=Augmentation())
    prepare.check_range(split.images)
    whole = task.name == "classification"
    ops = model.ops if whole else trained_ops(model, task)
    inference = Inference(model, ops)
    output, target = model.tensors[ops[-1].output], task.target(model)
    wanted = task.prepared(split.labels, model)
    classes = ops[-1].kind is OpKind.ARG_MAX
    total = 0.0
    for start in range(0, len(split), CHUNK):
        index = np.arange(start, min(start + CHUNK, len(split)))
        x = prepare(split.images[index])
        outputs = inference.run(x)
        if classes:
            total += float((outputs.reshape(-1) == wanted[index]).sum())
        else:
            total += summed(task, reals(outputs, output), x if task.reads_input else wanted[index], target)
    return total / len(split)
