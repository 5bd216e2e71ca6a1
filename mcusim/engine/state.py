"""Everything that training changes, outside any memory layout."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadRun
from mcusim.graph import Model, Op
from mcusim.update.formats import Formats
from mcusim.update.selection import Scope

Array = NDArray[Any]


@dataclass(slots=True, eq=False)
class State:
    """Learned parameters and what training needs to go on; the only thing a checkpoint stores.

    ``arrays`` maps ``weight:OP``, ``companion:OP`` (residual or latent), ``bias:OP``, ``companion:bias:OP``,
    ``momentum:weight:OP``, ``momentum:bias:OP``, ``gradient:…`` to whole-layer arrays in the layouts of
    the model; ``peaks`` maps an error tensor to the largest magnitude seen, from which the
    power-of-two scale of the next step follows. ``iteration`` counts the steps done.
    """

    model: Model
    arrays: dict[str, Array]
    peaks: dict[str, float] = field(default_factory=dict)
    iteration: int = 0
    saturations: int = 0

    @classmethod
    def of(cls, model: Model, scope: Scope, formats: Formats) -> State:
        """Return the state before the first step: the parameters of the model."""
        arrays: dict[str, Array] = {}
        for op in model.ops:
            head = scope.head and op.name == model.head
            if op.name in scope.pool or head:
                weight = constant(model, op.inputs[1])
                arrays[f"weight:{op.name}"] = weight.copy()
                if formats.companion == "float32" and weight.dtype == np.int8:
                    arrays[f"companion:{op.name}"] = weight.astype(np.float32)
                elif formats.companion == "int8" and weight.dtype == np.int8:
                    arrays[f"companion:{op.name}"] = np.zeros(weight.shape, np.int8)
            if (op.name in scope.biases or head) and op.bias is not None:
                bias = constant(model, op.bias)
                arrays[f"bias:{op.name}"] = bias.copy()
                if formats.bias_companion is not None and bias.dtype == np.int32:
                    arrays[f"companion:bias:{op.name}"] = np.zeros(bias.shape, formats.bias_companion)
        return cls(model, arrays)

    def trained(self) -> Model:
        """Return the model with the learned parameters in it."""
        changed = {}
        for op in self.model.ops:
            for key, name in (("weight", op.weight), ("bias", op.bias)):
                if name is not None and f"{key}:{op.name}" in self.arrays:
                    data = self.arrays[f"{key}:{op.name}"].copy()
                    data.flags.writeable = False
                    changed[name] = replace(self.model.tensors[name], data=data)
        return self.model.with_tensors(changed)

    def parameter(self, op: Op, kind: str) -> Array | None:
        """Return the current ``weight`` or ``bias`` of an op, learned or constant."""
        name = op.weight if kind == "weight" else op.bias
        if name is None:
            return None
        return self.arrays.get(f"{kind}:{op.name}", self.model.tensors[name].data)

    def restore(self, arrays: dict[str, Array]) -> None:
        """Take over the arrays of a checkpoint.

        Raises:
            BadRun: if they belong to another network, scheme or format.
        """
        for name, array in arrays.items():
            mine = self.arrays.get(name)
            optional = name.startswith(("momentum:", "gradient:"))
            if mine is None and optional:
                self.arrays[name] = array
            elif mine is None or mine.shape != array.shape or mine.dtype != array.dtype:
                raise BadRun(
                    f"checkpoint array {name!r}", "does not belong to this network, scheme and format",
                    "resume with the settings the run was started with",
                )  # fmt: skip
            else:
                mine[...] = array


def constant(model: Model, name: str) -> NDArray[Any]:
    """Return the values of a constant tensor.

    Raises:
        BadRun: if it has none.
    """
    data = model.tensors[name].data
    if data is None:
        raise BadRun(f"tensor {name!r}", "has no values to start from", "load the model again")
    return data
