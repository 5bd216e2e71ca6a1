"""What pruning took away, given back by the weights that are left: least squares, layer by layer.

Source: He et al., "Channel Pruning for Accelerating Very Deep Neural Networks" (ICCV 2017, arXiv 1707.06168),
section 3.1: after channels are removed, the weights that read the others are refitted so that the layer gives
what it gave before. Pictures are needed, labels are not, and nothing is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.compress.quantize.forward import apply, fields, keeps_batch
from mcusim.core import BadData, BadModel
from mcusim.core.counted import counted
from mcusim.graph import Model, Op, OpKind, Tensor

Array = NDArray[np.float32]
Real = NDArray[np.float64]
ROOM_BYTES = 2**31
"""Bytes of activations held at once: as many pictures are used as fit."""
ROWS = 2**15
"""Positions that a layer is fitted on, spread evenly over the pictures."""
RIDGE = 1e-3
"""Pull towards the weights as they were, as a fraction of the mean variance of the inputs."""


class Remaining(NamedTuple):
    """Which places along an axis of an activation are left."""

    axis: int
    places: NDArray[np.int64]


def reconstruct(original: Model, pruned: Model, kept: Mapping[str, Remaining], inputs: NDArray[Any]) -> Model:
    """Return ``pruned`` with the weights of its 1x1 convolutions and fully connected layers refitted.

    In the order of execution, each on what the layers refitted before it give: the weights W and bias b that
    minimise ||X W' + b - Y||² plus a pull towards W as it is, where Y is what the same layer of ``original``
    gives before its activation. In front of a residual addition Y is what the sum lacks, so that errors do
    not add up along the residual path. Layers whose input is still exact are left alone.

    Args:
        original: a float32 network.
        pruned: the same network with channels removed; names are as before.
        kept: activation -> which of the original's channels are left, for every activation that lost some.
        inputs: prepared pictures, float32 ``[N, H, W, C]``, or records of several inputs; the first that fit
            in 2 GiB of activations count.

    Raises:
        BadData: if the pictures do not fit the network or hold values that are no finite numbers.
        BadModel: if an op mixes the examples of a batch.
    """
    if not keeps_batch(original):
        raise BadModel(original.name, "mixes the examples of a batch", "prune it without data")
    inputs = checked(original, inputs)[: max(1, ROOM_BYTES // _held_bytes(original))]
    model, twins = pruned, {op.name: op for op in pruned.ops}
    last = {name: i for i, op in enumerate(original.ops) for name in op.inputs}
    whole: dict[str, Array] = fields(original, inputs)
    small = dict(whole)
    exact = {*original.inputs}
    for i, op in enumerate(counted(original.ops)):
        operands = {name for name in op.inputs if not original.tensors[name].constant}
        if not operands <= exact and _refittable(original, op):
            goal = _goal(original, op, kept, whole, small)
            refitted = _refitted(model, op, small[op.inputs[0]], goal)
            model = replace(model, tensors={**model.tensors, **refitted})
        elif operands <= exact and op.output not in kept:
            exact.add(op.output)
        whole[op.output], small[op.output] = (
            apply(original, op, whole, len(inputs)),
            apply(model, twins[op.name], small, len(inputs)),
        )
        for name in {*op.inputs, op.output} & whole.keys():
            if last.get(name, i) <= i:
                del whole[name], small[name]
    return model


def checked(model: Model, inputs: NDArray[Any]) -> Array:
    """Return ``inputs`` as float32 if they are pictures for ``model``, else raise BadData."""
    if len(model.inputs) == 1:
        inputs = np.asarray(inputs, np.float32)
    for name, found in fields(model, inputs).items():
        shape = model.tensors[name].shape[1:]
        if not len(found) or found.shape[1:] != shape or not np.isfinite(found).all():
            wanted = ", ".join(map(str, shape))
            raise BadData(f"pictures of shape {found.shape}", f"are not finite numbers [N, {wanted}]")
    return inputs


def _held_bytes(model: Model) -> int:
    """Return the most bytes that the activations of one picture take in both networks at once."""
    live, held = 0, 0
    last = {name: i for i, op in enumerate(model.ops) for name in op.inputs}
    for i, op in enumerate(model.ops):
        live += model.tensors[op.output].elements
        held = max(held, live)
        live -= sum(model.tensors[n].elements for n in {*op.inputs} if last[n] == i and n not in model.inputs
                    and not model.tensors[n].constant)  # fmt: skip
    return 2 * 4 * (held + sum(model.tensors[name].elements for name in model.inputs))


def _refittable(model: Model, op: Op) -> bool:
    """True for a layer that is one matrix product with a bias."""
    if len(op.inputs) < 3:
        return False
    if op.kind is OpKind.FULLY_CONNECTED:
        return True
    unpadded = op.attributes.padding == ((0, 0), (0, 0))
    return op.kind is OpKind.CONV_2D and model.tensors[op.inputs[1]].shape[1:3] == (1, 1) and unpadded


def _goal(
    original: Model,
    op: Op,
    kept: Mapping[str, Remaining],
    whole: Mapping[str, Array],
    small: Mapping[str, Array],
) -> Array:
    """Return what the pruned layer should give before its activation."""
    linear = replace(op, attributes=replace(op.attributes, clamp=None))
    examples = len(whole[op.inputs[0]])
    goal = _taken(apply(original, linear, whole, examples), kept.get(op.output))
    readers = [reader for reader in original.ops if op.output in reader.inputs]
    if op.attributes.clamp is None and len(readers) == 1 and readers[0].kind is OpKind.ADD:
        for other in readers[0].inputs:
            if other != op.output and other in small:
                goal += _taken(whole[other], kept.get(other)) - small[other]
    return goal


def _taken(values: Array, kept: Remaining | None) -> Array:
    return values if kept is None else np.take(values, kept.places, axis=kept.axis)


def _refitted(model: Model, op: Op, x: Array, goal: Array) -> dict[str, Tensor]:
    """Return the layer's weight and bias after the fit, by name."""
    if op.kind is OpKind.CONV_2D:
        down, right = op.attributes.stride
        x = x[:, ::down, ::right]
    weight, bias = (model.tensors[name] for name in op.inputs[1:3])
    columns, rows = x.reshape(-1, weight.shape[-1]), goal.reshape(-1, weight.shape[0])
    step = max(1, len(columns) // ROWS) | 1  # odd: a power of two would keep meeting the same column
    old = np.asarray(weight.data).reshape(weight.shape[0], -1)
    fitted, offset = refit(old, columns[::step], rows[::step])
    return {
        weight.name: _with(weight, fitted.reshape(weight.shape)),
        bias.name: _with(bias, offset),
    }


def refit(weight: NDArray[Any], x: NDArray[Any], goal: NDArray[Any]) -> tuple[Real, Real]:
    """Return the weight ``[O, I]`` and bias ``[O]`` that best make ``goal`` ``[N, O]`` of ``x`` ``[N, I]``.

    Normal equations in float64. The means are taken out first, so that the pull spares the bias.
    """
    old, columns = weight.astype(np.float64), x.astype(np.float64)
    missing = goal.astype(np.float64) - columns @ old.T
    mean, shift = columns.mean(0), missing.mean(0)
    columns -= mean
    missing -= shift
    square = columns.T @ columns
    pull = RIDGE * max(np.trace(square) / len(square), 1e-12)
    change = np.linalg.solve(square + pull * np.eye(len(square)), columns.T @ missing).T
    return old + change, shift - change @ mean


def _with(tensor: Tensor, values: NDArray[np.float64]) -> Tensor:
    data = np.ascontiguousarray(values, np.float32)
    data.flags.writeable = False
    return replace(tensor, data=data)
