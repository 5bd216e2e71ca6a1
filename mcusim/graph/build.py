"""Collects tensors and ops while an importer walks through a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.graph import Attributes, Op, OpKind, Quant, StreamState, Tensor
from mcusim.graph.states import needed


@contextmanager
def naming(file: str | Path) -> Iterator[None]:
    """Let every `BadModel` raised inside begin with the file it is about."""
    try:
        yield
    except BadModel as error:
        if error.thing.startswith(str(file)):
            raise
        raise BadModel(f"{file}: {error.thing}", error.reason, error.way_out) from None


def leading_to(
    outputs: Iterable[str], ops: Sequence[Op], states: Sequence[StreamState] = ()
) -> tuple[Op, ...]:
    """Return the ops that these tensors follow from, over all invocations, in their order."""
    names = needed(outputs, ops, states)
    return tuple(op for op in ops if op.output in names)


class GraphBuilder:
    """A graph under construction: names are unique, constants are read-only and contiguous."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.ops: list[Op] = []

    def activation(self, name: str, shape: tuple[int, ...], quant: Quant | None, dtype: str = "int8") -> str:
        """Add a tensor that an op writes, and return its name."""
        return self._add(Tensor(name, tuple(map(int, shape)), dtype, quant))

    def constant(self, name: str, data: NDArray[Any], quant: Quant | None = None) -> str:
        """Add a tensor with values, and return its name."""
        data = np.ascontiguousarray(data).reshape(data.shape)
        data.flags.writeable = False
        return self._add(Tensor(name, data.shape, str(data.dtype), quant, data))

    def op(
        self, name: str, kind: OpKind, inputs: tuple[str, ...], output: str, attributes: Attributes
    ) -> None:
        """Append an op."""
        self.ops.append(Op(name, kind, inputs, output, attributes))

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.tensors:
            raise BadModel(f"tensor {name!r}", "is read and does not exist")
        return self.tensors[name]

    def _add(self, tensor: Tensor) -> str:
        if tensor.name in self.tensors:
            raise BadModel(f"tensor {tensor.name!r}", "exists twice")
        self.tensors[tensor.name] = tensor
        return tensor.name
