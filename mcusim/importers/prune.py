"""Channel pruning of a float network by dependency graph: smaller and still consistent everywhere.

Source: DepGraph (Fang et al., arXiv 2301.12900), which ``torch-pruning`` implements for PyTorch modules:
channels that can only go together (through depthwise convolutions, residual additions, pooling) form one
group, and a channel's importance is the L2 norm of all weights that go with it. Here the groups are found on
the graph itself, so the result is a ``Model`` at once and needs no PyTorch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, BadModel
from mcusim.graph import Model, Op, OpKind, Tensor
from mcusim.graph.shapes import infer
from mcusim.graph.validate import validate

KEEPING = (
    OpKind.DEPTHWISE_CONV_2D, OpKind.ADD, OpKind.MUL, OpKind.SUB, OpKind.PAD, OpKind.MEAN,
    OpKind.AVERAGE_POOL_2D, OpKind.MAX_POOL_2D, OpKind.RELU, OpKind.RELU6, OpKind.HARD_SWISH, OpKind.LOGISTIC,
)  # fmt: skip
"""Ops whose output has the channels of their inputs, one to one."""
MIXING = (OpKind.CONV_2D, OpKind.FULLY_CONNECTED)
"""Ops whose outputs each depend on all input channels."""


@dataclass(frozen=True, slots=True)
class Group:
    """Activations whose channels can only be removed together.

    Attributes:
        tensors: names of the activations, in execution order.
        slices: (constant, axis) of everything that has one entry for each of these channels.
        channels: how many there are.
    """

    tensors: tuple[str, ...]
    slices: tuple[tuple[str, int], ...]
    channels: int


def groups(model: Model) -> tuple[Group, ...]:
    """Return the groups of a network that can lose channels: not those of its inputs and outputs.

    Raises:
        BadModel: if an op ties channels in a way that is not known.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            name = parent[name]
        return name

    slices: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for op in model.ops:
        if op.kind in MIXING:
            last = 3 if op.kind is OpKind.CONV_2D else 1
            slices[op.inputs[0]].append((op.inputs[1], last))
            slices[op.output] += [(op.inputs[1], 0), *((name, 0) for name in op.inputs[2:])]
        elif op.kind in KEEPING and _keeps(model, op):
            for name in op.inputs:
                if not model.tensors[name].constant:
                    parent[root(op.output)] = root(name)
            slices[op.output] += [
                (name, len(model.tensors[name].shape) - 1)
                for name in op.inputs
                if model.tensors[name].constant and model.tensors[name].elements > 1
            ]
        else:
            raise BadModel(
                f"op {op.name}", f"of kind {op.kind} ties channels in a way pruning does not know",
                "fold batch normalisation first; concatenations are not supported",
            )  # fmt: skip
    members: dict[str, list[str]] = defaultdict(list)
    for name in (*model.inputs, *(op.output for op in model.ops)):
        members[root(name)].append(name)
    fixed = {root(name) for name in (*model.inputs, *model.outputs)}
    return tuple(
        Group(
            tuple(names),
            tuple(part for name in names for part in slices[name]),
            model.tensors[names[0]].shape[-1],
        )
        for top, names in members.items()
        if top not in fixed
    )


def importance(model: Model, group: Group) -> NDArray[np.float64]:
    """Return the L2 norm of all weights that go with each channel of a group."""
    total = np.zeros(group.channels)
    for name, axis in group.slices:
        data = np.asarray(model.tensors[name].data, np.float64)
        if data.ndim > 1:  # biases and scales are no weights
            total += np.square(np.moveaxis(data, axis, 0).reshape(group.channels, -1)).sum(axis=1)
    return np.sqrt(total)


def prune(model: Model, ratio: float, *, multiple: int = 8, side: int | None = None) -> Model:
    """Return a float network with the least important channels of every group removed.

    Nothing is retrained here: accuracy on the task that the network was trained for is lost until it is,
    and calibration and quantisation come afterwards.

    Args:
        model: a float32 network, batch normalisation folded.
        ratio: fraction of the channels of each group to remove, in [0, 1).
        multiple: numbers of channels kept are rounded up to a multiple of this.
        side: also change the input to so many pixels a side; ``None`` keeps it.

    Raises:
        BadArgument: if a number makes no sense.
        BadModel: if the network is quantised, or has ops that pruning does not know.
    """
    if not 0 <= ratio < 1:
        raise BadArgument(f"ratio {ratio}", "is not in [0, 1)", "0.5 removes half of the channels")
    if multiple < 1 or (side is not None and side < 1):
        raise BadArgument(f"multiple {multiple} and side {side}", "are not all at least 1")
    if model.input.dtype != "float32":
        raise BadModel(model.name, "is quantised", "prune the float network, then quantise it")
    tensors = dict(model.tensors)
    for group in groups(model):
        keep = min(group.channels, ceil(round(group.channels * (1 - ratio), 6) / multiple) * multiple)
        order = np.argsort(-importance(model, group), kind="stable")[:keep]
        kept = np.sort(order)
        for name, axis in group.slices:
            tensors[name] = _taken(tensors[name], kept, axis)
    if side is not None:
        n, _, _, channels = model.input.shape
        tensors[model.inputs[0]] = replace(model.input, shape=(n, side, side, channels))
    for op in model.ops:
        tensors[op.output] = replace(tensors[op.output], shape=_shape(op, tensors))
    suffix = f"-pruned{round(100 * ratio)}" + ("" if side is None else f"-{side}")
    return validate(replace(model, name=model.name + suffix, tensors=tensors))


def _keeps(model: Model, op: Op) -> bool:
    """True if channels pass one by one: no multiplier, no broadcast, no reduction or padding of channels."""
    rank = len(model.tensors[op.output].shape)
    if op.kind is OpKind.DEPTHWISE_CONV_2D:
        return model.tensors[op.inputs[0]].shape[-1] == model.tensors[op.output].shape[-1]
    if op.kind is OpKind.MEAN:
        return all(0 < axis % 4 < 3 for axis in op.attributes.axes)
    if op.kind is OpKind.PAD:
        return len(op.attributes.pads) == rank and op.attributes.pads[-1] == (0, 0)
    return all(
        model.tensors[name].elements == 1
        or model.tensors[name].shape[-1] == model.tensors[op.output].shape[-1]
        for name in op.inputs
    )


def _taken(tensor: Tensor, kept: NDArray[np.int64], axis: int) -> Tensor:
    data = np.ascontiguousarray(np.take(np.asarray(tensor.data), kept, axis=axis))
    data.flags.writeable = False
    return replace(tensor, shape=data.shape, data=data)


def _shape(op: Op, tensors: dict[str, Tensor]) -> tuple[int, ...]:
    """Return the output shape after pruning; a fully connected or reducing op keeps its declared rank."""
    declared: Sequence[int] = tensors[op.output].shape
    channels = tensors[op.inputs[0]].shape[-1]
    if op.kind in MIXING:
        channels = tensors[op.inputs[1]].shape[0]
    guess = (*declared[:-1], channels)
    return infer(op, {**tensors, op.output: replace(tensors[op.output], shape=guess)})
