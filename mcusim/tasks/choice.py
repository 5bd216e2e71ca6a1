"""Which task a network is trained for: what was asked for, or what network and data say together."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import BadData, BadModel
from mcusim.core.wording import choice
from mcusim.graph import Model, OpKind
from mcusim.graph.batch import at_batch_one, batch_of, require_batch
from mcusim.graph.purpose import last_kind
from mcusim.tasks.task import TASKS, Array, Task, require_one

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Labels:
    """What the data give for each example; ``targets`` is None where they give nothing."""

    targets: Array | None


def choose(model: Model, asked: str = AUTO, labels: Labels | None = None) -> Task:
    """Return the task to train ``model`` for.

    Args:
        model: the network.
        asked: the name of a task, or ``auto``.
        labels: what the data give; without them the network alone decides.

    With data, ``auto`` goes by the labels: real numbers are regression; class numbers are classification,
    or, for a network with one output and labels 0 and 1, binary; rows of zeros and ones are multi-label;
    pictures of class numbers are segmentation; without labels a network that gives as many numbers as it
    takes reconstructs its input.

    Without data it goes by what the network says itself, see `Model.purpose`.

    Raises:
        UnknownName: if there is no such task; suggests the nearest.
        BadModel: if the network cannot learn the task, or if it is not clear what it is for.
        BadData: if the labels are for another task than any this network can learn.
    """
    if asked != AUTO:
        found = TASKS[asked]()
    require_one(model, "outputs")
    _require_single(model)
    if asked == AUTO:
        name = _of_network(model) if labels is None else _of_data(model, labels.targets)
        found = TASKS[name]()
    found.require(model)
    return found


def _require_single(model: Model) -> None:
    """Refuse a batch that is written into the file, to be learned as one example, and inputs without one."""
    for name in model.inputs:
        require_batch(model, name)
    if batch_of(model) > 1:
        at_batch_one(model)  # says which op stands in the way
        raise BadModel(model.name, "is made for a batch of several examples", "take one: mcusim.load does")


def _of_network(model: Model) -> str:
    found = model.purpose
    if not found.task:
        raise BadModel(
            f"{model.name} with the output {model.output.name!r} {list(model.output.shape)}",
            "does not say what it is for", found.way_out,
        )  # fmt: skip
    return found.task


def _of_data(model: Model, targets: Array | None) -> str:
    output = model.output
    if targets is None:
        if len(model.inputs) == 1 and 1 < output.elements == model.input.elements:
            return "reconstruction"
        raise BadData(
            "the data", f"have no labels, and {model.name} does not give its input again", "give labels"
        )
    if targets.dtype.kind == "f":
        return "regression"
    if targets.ndim == 2:
        return "multi-label"
    if targets.ndim == 3:
        return "segmentation"
    if output.elements > 1 or last_kind(model.ops) is OpKind.ARG_MAX:
        return "classification"
    if int(targets.max()) > 1:
        most = int(targets.max())
        raise BadData(
            f"labels up to {most}", f"do not fit {model.name}, which has one output",
            f"give float32 targets for regression, or load it with {choice('classes', most + 1)}",
        )  # fmt: skip
    return "binary"
