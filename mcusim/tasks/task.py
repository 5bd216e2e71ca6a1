"""The interface of a task, and how one is found by its name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadData, BadModel, Registry, Work
from mcusim.core.wording import choice
from mcusim.graph import Model, OpKind, Tensor
from mcusim.tasks.metric import Metric

Array = NDArray[Any]
Reals = NDArray[np.float32]
Loss = Callable[[Reals, Any, Reals], float]


class Task(ABC):
    """What the outputs of a network are for. A task has no state.

    On the device a training step ends in the task's loss: it reads the logits and the target and writes
    the gradient of the loss, in float32. The logits are the output, without the op of ``link`` it ends in.
    """

    name: ClassVar[str]
    metric: ClassVar[Metric]
    link: ClassVar[frozenset[OpKind]] = frozenset()
    """Final ops that the loss contains, so that training leaves them off: softmax, sigmoid."""
    float_ops: ClassVar[int]
    """float32 operations that the loss and its gradient take for each logit; modelled."""
    reads_input: ClassVar[bool] = False
    """True if the target is the network's own input, so that the data need no labels."""
    has_places: ClassVar[bool] = False
    """True if an answer lies where the picture does, so that of a mirrored picture it is mirrored."""

    def misfit(self, model: Model) -> str:
        """Return why a network with one output is not made for this task; empty if it is."""
        return ""

    def target(self, model: Model) -> Tensor | None:
        """Return the tensor that holds the target of an example in SRAM; None for a class number."""
        return None

    @abstractmethod
    def prepared(self, targets: Array | None, model: Model) -> Array:
        """Return the targets of a split, ``[N, ...]``, in the type and shape in which the loss reads them.

        Raises:
            BadData: if they are no targets of this task for this network.
        """

    @abstractmethod
    def loss(self) -> Loss:
        """Return the compiled loss of one example, which also writes its gradient.

        It takes the real values of the logits, float32 ``[n]``; the target, of the shape of ``target()``
        but flat, a class number where that is None; and the gradient, float32 ``[n]``, written.
        """

    @abstractmethod
    def score(self, output: Reals, target: Any) -> float:
        """Return how well one example is done; the mean over examples is the metric."""

    def work(self, logits: Tensor, target: Tensor | None) -> Work:
        """Return the work of the loss and its gradient on the device."""
        count = logits.elements
        moved = 4 * count
        read = moved + (0 if target is None else target.bytes)
        return Work(
            "loss", outputs=count, input_bytes=read, float_ops=self.float_ops * count, sram_read=read,
            sram_written=moved,
        )  # fmt: skip

    def require(self, model: Model) -> None:
        """Check that the network can learn this task.

        Raises:
            BadModel: if it has several outputs, or one of another kind.
        """
        require_one(model, "outputs")
        if reason := self.misfit(model):
            raise BadModel(
                f"{model.name} with the output {model.output.name!r} {list(model.output.shape)}",
                f"is not made for {self.name}: {reason}", f"choose another task: {', '.join(TASKS)}",
            )  # fmt: skip

    def wrong(self, targets: Array | None, expected: str, model: Model) -> BadData:
        """Return the error for targets that do not suit this task."""
        found = "are missing" if targets is None else f"are {targets.dtype} {targets.shape}"
        way_out = f"or choose what is learned, {choice('task')}: {', '.join(TASKS)}"
        return BadData(f"targets for {self.name}", f"{found}; {model.name} needs {expected}", way_out)


def require_one(model: Model, what: Literal["inputs", "outputs"]) -> None:
    """Check that a network has one input, or one output.

    Raises:
        BadModel: if not; names them.
    """
    names = model.inputs if what == "inputs" else model.outputs
    if len(names) != 1:
        shapes = ", ".join(f"{n!r} {list(model.tensors[n].shape)}" for n in names)
        way_out = "give a network with one input"
        if what == "outputs":
            both = "+".join(f"{n}*0.5" for n in names[:2])
            one, several = choice("output", names[0]), choice("output", both)
            way_out = f"choose one by name or number, {one}, or several, {several}"
        raise BadModel(model.name, f"has {len(names)} {what}: {shapes}", way_out)


TASKS: Registry[type[Task]] = Registry(
    "task",
    "mcusim.tasks",
    {
        "binary": "mcusim.tasks.binary:Binary",
        "classification": "mcusim.tasks.classification:Classification",
        "multi-label": "mcusim.tasks.multi_label:MultiLabel",
        "reconstruction": "mcusim.tasks.reconstruction:Reconstruction",
        "regression": "mcusim.tasks.regression:Regression",
        "segmentation": "mcusim.tasks.segmentation:Segmentation",
    },
)
"""Tasks by name; other packages add theirs with an entry point in group ``mcusim.tasks``."""
