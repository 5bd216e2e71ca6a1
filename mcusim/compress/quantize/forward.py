"""The forward pass of a float32 network, with numpy: matrix products do the heavy part.

Shapes are NHWC with any number of examples first. Results are float32 to rounding, not to the bit:
the order of a matrix product's sums is the library's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.compress.quantize import float_ops
from mcusim.core import BadModel
from mcusim.core.fields import field_of
from mcusim.graph import Model, Op
from mcusim.graph.batch import keeps_examples, require_batch

Array = NDArray[np.float32]
Visit = Callable[[str, Array], None]
_CACHE_BYTES = 8 * 1024**2
"""Examples go through the network in groups whose largest tensor stays below this."""


def groups(model: Model, inputs: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield ``inputs`` in runs of as many examples as a processor's cache likes."""
    largest = max(t.elements for t in model.tensors.values() if not t.constant)
    size = max(1, _CACHE_BYTES // (4 * largest)) if keeps_batch(model) else 1
    for start in range(0, len(inputs), size):
        yield inputs[start : start + size]


def fields(model: Model, inputs: NDArray[Any]) -> dict[str, Array]:
    """Return the float32 examples of every input: of a network with several, fields of records."""
    if len(model.inputs) == 1:
        return {model.inputs[0]: np.ascontiguousarray(inputs, np.float32)}
    return {
        name: np.ascontiguousarray(field_of(inputs, name, "examples"), np.float32) for name in model.inputs
    }


def keeps_batch(model: Model) -> bool:
    """False if some op would mix the examples of a batch."""
    return all(keeps_examples(op, model.tensors, 1) for op in model.ops)


def run(model: Model, inputs: Array, visit: Visit | None = None) -> Array:
    """Return the network's first output for ``inputs`` ``[N, ...]``, or records of several inputs.

    ``visit`` is called with the name and values of the input and of every op's output, in order; it
    must not keep or change the array.

    Raises:
        BadModel: if the network is not float32.
    """
    check_float(model)
    if len(inputs) > 1 and not keeps_batch(model):
        return np.concatenate([run(model, inputs[i : i + 1], visit) for i in range(len(inputs))])
    last = {name: i for i, op in enumerate(model.ops) for name in op.inputs}
    last.update({name: len(model.ops) for name in model.outputs})
    values = fields(model, inputs)
    if visit is not None:
        for name, given in values.items():
            visit(name, given)
    for i, op in enumerate(model.ops):
        values[op.output] = result = apply(model, op, values, len(inputs))
        if visit is not None:
            visit(op.output, result)
        for name in {*op.inputs, op.output} & values.keys():
            if last.get(name, i) <= i:
                del values[name]
    return values[model.outputs[0]]


def apply(model: Model, op: Op, values: Mapping[str, Array], examples: int) -> Array:
    """Return the output of one op for so many examples, from the activations in ``values``."""
    operands = [
        values[name] if (data := model.tensors[name].data) is None else data.astype(np.float32, copy=False)
        for name in op.inputs
    ]
    shape = model.tensors[op.output].shape
    return compute(op, operands, (examples * shape[0], *shape[1:]) if shape else shape)


def compute(op: Op, operands: list[Array], shape: tuple[int, ...]) -> Array:
    """Return the output of one op, of the given shape, fused activation included."""
    result = float_ops.FORWARD.of(op)(op, operands)
    if prod(shape) != result.size:
        raise BadModel(f"op {op.name!r} ({op.kind})", f"gives {result.shape}, not {shape}")
    result = result.reshape(shape)
    if op.attributes.clamp is not None and op.traits.fuses:
        low, high = op.attributes.clamp
        np.clip(result, np.float32(low), np.float32(high), out=result)
    return result


def check_float(model: Model) -> None:
    """Raise BadModel unless all activations and weights are float32 and inputs have a batch dimension."""
    for name in model.inputs:
        require_batch(model, name)
    for op in model.ops:
        float_ops.FORWARD.of(op)
        for name in (*op.inputs, op.output):
            dtype = model.tensors[name].dtype
            if dtype != "float32":
                raise BadModel(f"tensor {name!r}", f"is {dtype}: the network is no float network")
