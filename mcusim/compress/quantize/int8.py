"""The forward pass of the int8 network, all tensors kept: the kernels of `mcusim.kernels`, in batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.compress.quantize.forward import Array, fields, groups
from mcusim.graph import Model, Op, Tensor


class Int8Network:
    """Runs an int8 network and keeps all its tensors."""

    def __init__(self, model: Model) -> None:
        from mcusim.kernels.forward import forward

        self.model = model
        self.kernels = [forward(op, model.tensors, model.arithmetic) for op in model.ops]

    def __call__(self, inputs: Array) -> dict[str, NDArray[Any]]:
        """Return every tensor for float ``inputs``."""
        found: dict[str, NDArray[Any]] = quantised_inputs(self.model, inputs)
        for op, kernel in zip(self.model.ops, self.kernels, strict=True):
            tensor = self.model.tensors[op.output]
            found[op.output] = np.empty((len(inputs), *tensor.shape[1:]), tensor.dtype)
            kernel(operands_of(op, self.model.tensors, found), found[op.output])
        return found


def quantised_inputs(model: Model, inputs: Array) -> dict[str, NDArray[np.int8]]:
    """Return real values of every input as its integers."""
    return {name: _quantised(model.tensors[name], real) for name, real in fields(model, inputs).items()}


def _quantised(tensor: Tensor, real: Array) -> NDArray[np.int8]:
    assert tensor.quant is not None
    steps = np.rint(real / np.float32(tensor.quant.scale[0])) + tensor.quant.zero_point
    inside: NDArray[Any] = np.clip(steps, -128, 127)
    return inside.astype(np.int8)


def operands_of(
    op: Op, tensors: Mapping[str, Tensor], values: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[Any], ...]:
    """Return what an op's frozen kernel reads: the activations, and the constants of ops without weights."""
    names = op.inputs[:1] if op.weight else op.inputs
    return tuple(values[n] if n in values else np.asarray(tensors[n].data) for n in names)


def run_int8(model: Model, inputs: Array) -> Array:
    """Return the real values of the int8 network's first output for float ``inputs`` ``[N, ...]``."""
    network, tensor = Int8Network(model), model.tensors[model.outputs[0]]
    return np.concatenate(
        [real_values(tensor, network(group)[tensor.name]) for group in groups(model, inputs)]
    )


def real_values(tensor: Tensor, values: NDArray[Any]) -> Array:
    """Return what integers of ``tensor`` mean: (q - zero point) * scale."""
    if tensor.quant is None:
        return values.astype(np.float32)
    zero = np.float32(tensor.quant.zero_point)
    real: Array = (values.astype(np.float32) - zero) * np.float32(tensor.quant.scale[0])
    return real
