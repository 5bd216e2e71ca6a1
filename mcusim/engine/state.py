"""Everything that training changes, outside any memory layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from mcusim.core import PARAMETER_KINDS, BadRun, Kind, Slot, SlotPart
from mcusim.graph import Model
from mcusim.graph.outputs import heads
from mcusim.update.channels import bias_can_learn
from mcusim.update.formats import Formats
from mcusim.update.selection import Scope

Array = NDArray[Any]


@dataclass(slots=True, eq=False)
class State:
    """Learned parameters and what training needs to go on; the only thing a checkpoint stores.

    ``arrays`` maps the slots of weights and biases (values, residuals or master weights, momentum,
    mean squares, sums of gradients) to
    whole-layer arrays in the layouts of the model; ``peaks`` maps an error tensor to the largest magnitude
    seen, from which the power-of-two scale of the next step follows. ``iteration`` counts the steps done.
    """

    model: Model
    arrays: dict[Slot, Array]
    peaks: dict[str, float] = field(default_factory=dict)
    iteration: int = 0
    saturations: int = 0

    @classmethod
    def of(cls, model: Model, scope: Scope, formats: Formats) -> State:
        """Return the state before the first step: the parameters of the model."""
        arrays: dict[Slot, Array] = {}
        for op in model.ops:
            head = scope.head and op.name in heads(model)
            bias = (op.name in scope.biases or head) and bias_can_learn(model, op)
            learning = (op.name in scope.eligible or head, bias)
            for part, learns, name in zip(SlotPart, learning, (op.weight, op.bias), strict=True):
                if learns and name is not None:
                    value = constant(model, name)
                    arrays[Slot(op.name, Kind.VALUE, part)] = value.copy()
                    extra = formats.parameter(part, value.dtype.name).extra
                    if extra is not None:
                        arrays[Slot(op.name, extra.kind, part)] = extra.start(value)
        return cls(model, arrays)

    def trained(self, whole: Model | None = None) -> Model:
        """Return the model with the learned parameters in it, or the ``whole`` of which it is a part."""
        changed = {}
        for op in self.model.ops:
            for part, name in ((SlotPart.WEIGHT, op.weight), (SlotPart.BIAS, op.bias)):
                slot = Slot(op.name, Kind.VALUE, part)
                if name is not None and slot in self.arrays:
                    data = self.arrays[slot].copy()
                    data.flags.writeable = False
                    changed[name] = replace(self.model.tensors[name], data=data)
        return (whole or self.model).with_tensors(changed)

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Take over the arrays of a checkpoint, by the texts of their slots.

        Raises:
            BadRun: if they belong to another network, scheme or format.
        """
        known = {str(slot): slot for op in self.model.ops for slot in parameter_slots(op.name)}
        for name, array in arrays.items():
            slot = known.get(name)
            mine = None if slot is None else self.arrays.get(slot)
            if mine is None and slot is not None and slot.kind in (Kind.MOMENTUM, Kind.SQUARE, Kind.GRADIENT):
                self.arrays[slot] = array
            elif mine is None or mine.shape != array.shape or mine.dtype != array.dtype:
                raise BadRun(
                    f"checkpoint array {name!r}", "does not belong to this network, scheme and format",
                    "resume with the settings the run was started with",
                )  # fmt: skip
            else:
                mine[...] = array


def parameter_slots(op: str) -> tuple[Slot, ...]:
    """Return the slots that the parameters of an op may have."""
    return tuple(Slot(op, kind, part) for part in SlotPart for kind in PARAMETER_KINDS)


def constant(model: Model, name: str) -> NDArray[Any]:
    """Return the values of a constant tensor.

    Raises:
        BadRun: if it has none.
    """
    data = model.tensors[name].data
    if data is None:
        raise BadRun(f"tensor {name!r}", "has no values to start from", "load the model again")
    return data
