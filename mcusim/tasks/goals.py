"""What a training is for: each output that learns, its task, and how much its loss counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcusim.core import BadArgument, BadData
from mcusim.core.fields import field_of, joined, names_of
from mcusim.graph import Model, Tensor
from mcusim.graph.outputs import output_named, with_outputs
from mcusim.tasks.choice import AUTO, Labels, choose
from mcusim.tasks.metric import Metric
from mcusim.tasks.single_label import SingleLabel
from mcusim.tasks.task import TASKS, Array, Loss, Reals, Task

SEPARATOR, TIMES = "+", "*"
LOSS = Metric("loss", higher_is_better=False)
"""What several outputs with different metrics are measured by: the sum of their losses by weight."""


def weights_of(model: Model, text: str) -> dict[str, float]:
    """Return the outputs that a text names, with the weight of each: ``NAME``, ``0``, ``NAME+1*0.5``.

    Raises:
        UnknownName: if the network has no such output; suggests the nearest.
        BadArgument: if a weight is no positive number, or an output is named twice.
    """
    if text in model.outputs:
        return {text: 1.0}
    found: dict[str, float] = {}
    for part in text.split(SEPARATOR):
        name, _, number = part.partition(TIMES)
        output = output_named(model, name.strip())
        try:
            weight = float(number or 1)
        except ValueError:
            weight = 0.0
        if not 0 < weight < float("inf") or output in found:
            reason = "is named twice" if output in found else f"has the weight {number!r}"
            raise BadArgument(f"output {name.strip()!r}", reason, "e.g. NAME+OTHER*0.5, weights above 0")
        found[output] = weight
    return found


def spelled(weights: Mapping[str, float]) -> str:
    """Return what ``weights_of`` reads."""
    return SEPARATOR.join(n if w == 1 else f"{n}{TIMES}{w:g}" for n, w in weights.items())


@dataclass(frozen=True, slots=True)
class Goal:
    """One output, what it is for, the weight of its loss, and the label smoothing in it."""

    output: str
    task: Task
    weight: float = 1.0
    smoothing: float = 0.0

    def part(self, model: Model) -> Model:
        """Return the part of the network that leads to the output."""
        return with_outputs(model, (self.output,))

    def loss(self) -> Loss:
        """Return the compiled loss of one example, without the weight."""
        task = self.task
        return task.smoothed(self.smoothing) if isinstance(task, SingleLabel) else task.loss()

    def target(self, model: Model) -> Tensor | None:
        """Return the tensor that holds the target of an example in SRAM; None for a class number."""
        return self.task.target(self.part(model))


@dataclass(frozen=True, slots=True)
class Goals:
    """The goals of one training; a network with one output has one."""

    items: tuple[Goal, ...]

    @classmethod
    def of(cls, model: Model, task: Task) -> Goals:
        """Return the only goal of a network with one output."""
        return cls((Goal(model.outputs[0], task),))

    @classmethod
    def named(cls, model: Model, output: str | None, tasks: str, *, smoothing: float = 0.0) -> Goals:
        """Return goals from the texts of their outputs and tasks, as ``Decided`` settings have them.

        Args:
            model: the network.
            output: outputs with their weights; its only one by default.
            tasks: of each, joined by ``+``.
            smoothing: of the labels of those that are classes.

        Raises:
            BadArgument: for a smoothing where none is.
        """
        weights = {model.outputs[0]: 1.0} if output is None else weights_of(model, output)
        found = [TASKS[name]() for name in tasks.split(SEPARATOR)]
        parts = [smoothing if isinstance(task, SingleLabel) else 0.0 for task in found]
        if smoothing and not any(parts):
            able = " or ".join(name for name in TASKS if issubclass(TASKS[name], SingleLabel))
            raise BadArgument(f"label smoothing {smoothing:g}", f"is not for {tasks}", f"it is for {able}")
        each = zip(weights.items(), found, parts, strict=True)
        return cls(tuple(Goal(n, task, w, part) for (n, w), task, part in each))

    @property
    def single(self) -> Goal | None:
        """The goal, if it is the only one."""
        return self.items[0] if len(self.items) == 1 else None

    @property
    def name(self) -> str:
        """The tasks in order, joined by ``+``."""
        return SEPARATOR.join(goal.task.name for goal in self.items)

    @property
    def metric(self) -> Metric:
        """What is measured: that of the tasks if all have the same, its mean by weight; else the loss."""
        metrics = {goal.task.metric for goal in self.items}
        return metrics.pop() if len(metrics) == 1 else LOSS

    def prepared(self, targets: Array | None, model: Model) -> Array:
        """Return the targets of a split as a step takes them; of several outputs as records.

        Raises:
            BadData: if they are no targets of these tasks, or not of all outputs.
        """
        count = 0 if targets is None else len(targets)
        found = {}
        for goal in self.items:
            ready = goal.task.prepared(labels_for(targets, model, goal.output), goal.part(model))
            found[goal.output] = ready if not goal.task.reads_input else np.zeros((count, 0), np.float32)
        return joined("targets", found) if self.single is None else found[self.items[0].output]

    def loss(self, values: Sequence[float]) -> float:
        """Return the loss of one example from those of its outputs: their float32 sum, each by its weight."""
        total = np.float32(0)
        for goal, value in zip(self.items, values, strict=True):
            total += np.float32(goal.weight) * np.float32(value)
        return float(total)

    def score(self, values: Sequence[float], scores: Sequence[float]) -> float:
        """Return how well one example is done, from the losses and the scores of its outputs."""
        if self.metric is LOSS:
            return self.loss(values)
        return self.loss(scores) / sum(goal.weight for goal in self.items)

    def judged(self, output: str, real: Reals, target: Any) -> tuple[float, float]:
        """Return loss and score of one output of an example, whose gradient nobody needs.

        Args:
            output: its name.
            real: its real logits, flat.
            target: what they are compared with; see ``Task.loss``.
        """
        goal = next(goal for goal in self.items if goal.output == output)
        value = goal.loss()(real, target, np.empty_like(real)) if self.metric is LOSS else 0.0
        return value, goal.task.score(real, target)


def labels_for(targets: Array | None, model: Model, output: str) -> Array | None:
    """Return the labels of one output.

    Raises:
        BadData: if there is one array of labels for several outputs.
    """
    if targets is None:
        return None
    if len(model.outputs) > 1 and not names_of(targets):
        raise BadData(
            f"labels of {targets.dtype} {targets.shape}", f"are one array for {len(model.outputs)} outputs",
            f"give labels for each: {', '.join(model.outputs)}, or choose one output",
        )  # fmt: skip
    return field_of(targets, output, "labels")


def choose_goals(
    model: Model, output: str | None = None, asked: str = AUTO, labels: Labels | None = None
) -> Goals:
    """Return what to train a network for; see ``choose``, which decides for each output by itself.

    Args:
        model: the network.
        output: outputs with their weights; its only one by default.
        asked: a task for all outputs, ``auto``, or one of either for each, joined by ``+``.
        labels: what the data give; without them the network alone decides.

    Raises:
        BadArgument: if there are not as many tasks as outputs.
        UnknownName, BadModel, BadData: as ``choose``.
    """
    weights = {model.outputs[0]: 1.0} if output is None else weights_of(model, output)
    tasks = asked.split(SEPARATOR)
    if len(tasks) == 1:
        tasks *= len(weights)
    if len(tasks) != len(weights):
        reason = f"names {len(tasks)} tasks for {len(weights)} outputs"
        raise BadArgument(f"task {asked}", reason, "e.g. auto")
    found = []
    for (name, weight), task in zip(weights.items(), tasks, strict=True):
        mine = labels
        if labels is not None:
            mine = Labels(labels_for(labels.targets, model, name))
        part = model if output is None else with_outputs(model, (name,))
        found.append(Goal(name, choose(part, task, mine), weight))
    return Goals(tuple(found))
