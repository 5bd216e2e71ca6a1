"""Cross-layer equalisation: channels of neighbouring layers are rescaled until their ranges are alike.

Nagel et al. (arXiv 1906.04721), section 4.1: for ReLU f and s > 0, f(s x) = s f(x), so the weights that
produce a channel can be divided by s and those that read it multiplied by s.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import CONVOLUTIONS, Model, Op, Tensor

_ROUNDS = 20
_CLOSE = 1e-3


def equalize(model: Model) -> Model:
    """Return the float network with equalised weights.

    ReLU6 between two equalised layers becomes ReLU, as published: a clamp at 6 would have to move with
    each channel's factor. Where activations reach 6 this changes the function, and the report's agreement
    with the float network shows by how much.
    """
    pairs = _pairs(model)
    arrays = {
        name: data.astype(np.float64) for name, t in model.tensors.items() if (data := t.data) is not None
    }
    for _ in range(_ROUNDS):
        factors = [_equalize_pair(first, second, arrays) for first, second in pairs]
        if all(np.abs(np.log(f)).max() < _CLOSE for f in factors):
            break
    relaxed = {first.name for first, _ in pairs}
    ops = tuple(
        replace(op, attributes=replace(op.attributes, clamp=(0.0, inf)))
        if op.name in relaxed and op.attributes.clamp is not None
        else op
        for op in model.ops
    )
    changed: dict[str, Tensor] = {
        name: replace(model.tensors[name], data=data.astype(np.float32))
        for name, data in arrays.items()
        if model.tensors[name].dtype == "float32"
    }
    return replace(model.with_tensors(changed), ops=ops)


def _pairs(model: Model) -> list[tuple[Op, Op]]:
    """Return the layers that follow each other with nothing but a ReLU between."""
    readers: dict[str, list[Op]] = {}
    for op in model.ops:
        for name in op.inputs:
            readers.setdefault(name, []).append(op)
    pairs = []
    for first in model.ops:
        after = readers.get(first.output, [])
        linear = first.attributes.clamp is None or first.attributes.clamp[0] == 0
        own = all(len(readers[name]) == 1 for name in first.inputs[1:])
        if first.kind not in CONVOLUTIONS or not linear or not own or len(after) != 1:
            continue
        second = after[0]
        if not second.traits.weighted or first.output in model.outputs or len(readers[second.inputs[1]]) != 1:
            continue
        channels, weight = model.tensors[first.output].shape[-1], model.tensors[second.inputs[1]]
        # A fully connected op that flattens a map has several columns a channel; a depthwise multiplier
        # several outputs: both are left alone.
        if weight.shape[-1] == channels:
            pairs.append((first, second))
    return pairs


def _equalize_pair(first: Op, second: Op, arrays: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    axis = first.traits.channel_axis
    before, after = arrays[first.inputs[1]], arrays[second.inputs[1]]
    reach = np.abs(before).max(tuple(i for i in range(before.ndim) if i != axis))
    grip = np.abs(after).max(tuple(range(after.ndim - 1)))
    alive = (reach > 0) & (grip > 0)
    # s = sqrt(r1 r2) / r2 = sqrt(r1 / r2)
    factor = np.where(alive, np.sqrt(np.where(alive, reach, 1) / np.where(alive, grip, 1)), 1.0)
    shape = [-1 if i == axis else 1 for i in range(before.ndim)]
    arrays[first.inputs[1]] = before / factor.reshape(shape)
    if first.bias:
        arrays[first.bias] = arrays[first.bias] / factor
    arrays[second.inputs[1]] = after * factor
    return factor
