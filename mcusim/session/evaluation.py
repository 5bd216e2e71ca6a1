"""The metric on test examples, in batches, with exactly the integers of the batch-1 path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.core.counted import counted
from mcusim.data.dataset import Split
from mcusim.data.inputs import Inputs
from mcusim.data.looks import Looks
from mcusim.engine.inference import Inference
from mcusim.engine.state import State
from mcusim.files.load import network
from mcusim.graph import Model, OpKind, Tensor
from mcusim.lowering.gradients import trained_ops
from mcusim.session.features import Features
from mcusim.tasks.choice import AUTO, Labels
from mcusim.tasks.goals import Goal, Goals, choose_goals
from mcusim.tasks.task import Task

Array = NDArray[Any]
Answers = dict[str, Array]
"""Real values ``(n, elements)`` of each output, float32."""
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
        tail = Inference(model, flow.ops[flow.front :], flow.boundary, batch=64, results=flow.logits)
        judge = _Judge(model, self._features.goals, flow.logits)
        total = 0.0
        for start in counted(range(0, self._count, CHUNK)):
            index = np.arange(start, min(start + CHUNK, self._count))
            seen = (self._features.seen(self._part, index, look) for look in range(self._features.looks))
            answers = averaged(judge.reals(tail.run(np.stack(rows))) for rows in seen)
            total += judge.summed(answers, self._features.targets(self._part, index))
            pause()
        return total / self._count


class _Judge:
    """Scores outputs of the ops ``logits``, one for each goal, against targets as a step takes them."""

    def __init__(self, model: Model, goals: Goals, logits: Sequence[str]) -> None:
        self._goals = goals
        self._logits = {g.output: model.tensors[name] for g, name in zip(goals.items, logits, strict=True)}
        self._targets = {goal.output: goal.target(model) for goal in goals.items}

    def reals(self, outputs: Array) -> Answers:
        """Return the real values of the outputs of examples ``(n, ...)``."""
        several = self._goals.single is None
        return {
            output: reals(outputs[logits.name] if several else outputs, logits)
            for output, logits in self._logits.items()
        }

    def summed(self, answers: Answers, targets: Array) -> float:
        """Return the sum of the scores of examples ``(n, ...)``."""
        goals = self._goals
        several = goals.single is None
        judged = []
        for goal in goals.items:
            target = self._targets[goal.output]
            wanted = targets[goal.output] if several else targets
            wanted = wanted if target is None else reals(wanted, target)
            each = zip(answers[goal.output], wanted, strict=True)
            judged.append([goals.judged(goal.output, r, w) for r, w in each])
        return sum(
            goals.score([value for value, _ in one], [score for _, score in one])
            for one in zip(*judged, strict=True)
        )


def require_one_answer(goals: Goals, looks: Looks) -> None:
    """Raise BadArgument if answers of several looks cannot be averaged."""
    for goal in goals.items:
        if looks.count > 1 and goal.task.has_places:
            reason = f"see other places, and an answer of {goal.task.name} lies where the picture does"
            raise BadArgument(f"{looks.count} looks", reason, looks.way_out)


def averaged(looks: Iterable[Answers]) -> Answers:
    """Return the mean answer of several looks at the same examples: their float32 sum in order, divided."""
    first, *others = looks
    if not others:
        return first
    totals = {name: values.copy() for name, values in first.items()}
    for look in others:
        for name, values in look.items():
            totals[name] += values
    return {name: values / np.float32(1 + len(others)) for name, values in totals.items()}


def predictions(outputs: Array, logits: Tensor) -> NDArray[np.int64]:
    """Return the class of each row of outputs; integer logits are compared as the reals they stand for."""
    return np.asarray(reals(outputs, logits).argmax(axis=1), np.int64)


def reals(outputs: Array, tensor: Tensor) -> Array:
    """Return the real values of outputs ``(n, ...)`` as ``(n, elements)`` float32."""
    flat = outputs.reshape(len(outputs), -1)
    if tensor.quant is None:
        return flat
    return (flat.astype(np.float32) - np.float32(tensor.quant.zero_point)) * tensor.quant.scale


def evaluate(
    model: Model | str | Path, split: Split, task: Task | Goals | None = None, *, looks: Looks | None = None
) -> float:
    """Return the metric of a network as it is on a split: an accuracy is in 0..1.

    For classification a final int8 SOFTMAX takes part and may round two classes to the same value; the
    first then counts, as for any TFLite runtime. Training looks at the logits before it.

    Args:
        model: the network, trained or not, or its name or path.
        split: examples with their labels, e.g. ``data.test``.
        task: what it is for, or the goals of several outputs; what the network and the labels say by default.
        looks: at each picture, whose outputs are averaged: ``Looks(10, shift=2)``; one by default.

    Raises:
        BadArgument: if several looks cannot be averaged, because answers have places as the picture has, or
            are classes already.
    """
    model = network(model)
    split = split.named(model.inputs, model.outputs)
    if isinstance(task, Goals):
        goals = task
    else:
        goals = choose_goals(model, None, AUTO if task is None else task.name, Labels(split.labels))
    for goal in goals.items:
        goal.task.require(goal.part(model))
    looks = looks or Looks()
    require_one_answer(goals, looks)
    prepare = Inputs(model, split.images, augmentation=looks)
    prepare.check_range(split.images)
    wanted = goals.prepared(split.labels, model)
    ends = tuple(_end(model, goal, goals) for goal in goals.items)
    single = goals.single
    inference, judge = Inference(model, results=ends), _Judge(model, goals, ends)
    classes = single is not None and model.ops[-1].kind is OpKind.ARG_MAX
    if classes and looks.count > 1:
        raise BadArgument(f"{looks.count} looks", f"give classes of {model.name}, not scores", looks.way_out)
    total = 0.0
    for start in range(0, len(split), CHUNK):
        index = np.arange(start, min(start + CHUNK, len(split)))
        shown = [
            prepare(split.images[index], index, variant=np.full(len(index), look))
            for look in range(looks.count)
        ]
        if classes:
            total += float((inference.run(shown[0]).reshape(-1) == wanted[index]).sum())
        else:
            reads = single is not None and single.task.reads_input
            answers = averaged(judge.reals(inference.run(x)) for x in shown)
            total += judge.summed(answers, shown[0] if reads else wanted[index])
    return total / len(split)


def _end(model: Model, goal: Goal, goals: Goals) -> str:
    """Return the tensor that an output is judged by: its classes by itself, anything else by the logits."""
    if goal.task.name == "classification" and goals.metric == goal.task.metric:
        return goal.output
    return trained_ops(goal.part(model), goal.task)[-1].output
