"""What a network says of examples whose answer is known: the basis of confusion matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.data.dataset import Dataset
from mcusim.data.inputs import Inputs
from mcusim.engine.inference import Inference
from mcusim.graph import Model, OpKind
from mcusim.lowering.gradients import trained_ops
from mcusim.session.evaluation import CHUNK, reals
from mcusim.tasks.goals import Goals
from mcusim.tasks.task import Task

WORST = 12
"""Examples that are kept of those that are wrong: those whose answer was surest."""
KNOWN = ("classification", "binary", "segmentation")
"""Tasks whose answer is one of several classes."""


@dataclass(frozen=True, eq=False)
class Wrong:
    """An example whose answer is wrong; ``image`` is it as the data hold it, ``margin`` how sure it was."""

    number: int
    wanted: int
    said: int
    margin: float
    image: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers and truths over a part of the examples.

    Attributes:
        part: which examples.
        names: of the classes, in order.
        counts: ``int64 [truth, answer]``: examples, or pixels where every pixel has a class.
        unit: what is counted.
        wrong: some examples that are wrong, the surest first.
    """

    part: str
    names: tuple[str, ...]
    counts: NDArray[np.int64]
    unit: str
    wrong: tuple[Wrong, ...]

    @property
    def right(self) -> float:
        """Share of the answers that are right."""
        return float(np.trace(self.counts) / max(1, int(self.counts.sum())))


def answers(
    model: Model, data: Dataset, goals: Goals, part: str = "test", *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Answers | None:  # fmt: skip
    """Return what a network answers over one part of the data, by the integers of training.

    Args:
        model: the trained network.
        data: with the part.
        goals: what the network learned.
        part: ``test`` or ``validation``.
        progress: called with the number of examples done, and of all.

    Returns:
        The answers; ``None`` where they are no classes: several outputs, labels side by side, real numbers.
    """
    goal = goals.single
    if goal is None or goal.task.name not in KNOWN:
        return None
    split = data.named(model.inputs, model.outputs).parts[part]
    leads = goal.part(model)
    by_itself = leads.ops[-1].kind is OpKind.ARG_MAX
    end = goal.output if by_itself else trained_ops(leads, goal.task)[-1].output
    logits = leads.tensors[end]
    inference, prepare = Inference(leads, results=(end,)), Inputs(leads, split.images)
    wanted = goals.prepared(split.labels, model)
    classes = 2 if goal.task.name == "binary" else max(data.classes, int(wanted.max()) + 1)
    if not by_itself and goal.task.name != "binary":
        classes = max(classes, logits.shape[-1])
    counts = np.zeros((classes, classes), np.int64)
    kept: list[Wrong] = []
    for start in range(0, len(split), CHUNK):
        index = np.arange(start, min(start + CHUNK, len(split)))
        raw = inference.run(prepare(split.images[index]))
        said, margin = _answers(
            raw if by_itself else reals(raw, logits), goal.task, logits.shape[-1], by_itself
        )
        truth = wanted[index].reshape(len(index), -1).astype(np.int64)
        np.add.at(counts, (truth, said), 1)
        if truth.shape[1] == 1:
            for i in np.flatnonzero(truth[:, 0] != said[:, 0]).tolist():
                row = start + i
                kept.append(
                    Wrong(row, int(truth[i, 0]), int(said[i, 0]), float(margin[i]), split.images[row])
                )
            kept = sorted(kept, key=lambda w: (-w.margin, w.number))[:WORST]
        progress(start + len(index), len(split))
    names = data.labels or tuple(map(str, range(classes)))
    names = (*names, *(str(number) for number in range(len(names), classes)))
    unit = "pixels" if goal.task.name == "segmentation" else "examples"
    return Answers(part, names, counts, unit, tuple(kept))


def _answers(
    output: NDArray[Any], task: Task, classes: int, by_itself: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the class of each example (or pixel) ``[n, m]``, and by how much it won ``[n]``."""
    count = len(output)
    if by_itself:
        return output.reshape(count, -1).astype(np.int64), np.zeros(count)
    if task.name == "binary":
        score = output.reshape(count, -1)
        return (score > 0).astype(np.int64), np.abs(score[:, 0]).astype(np.float64)
    scores = output.reshape(count, -1, classes)
    said = scores.argmax(axis=2)
    top = np.sort(scores, axis=2)[:, 0, -2:].astype(np.float64)
    return said.astype(np.int64), top[:, 1] - top[:, 0]
