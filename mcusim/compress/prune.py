"""Channel pruning of a float network by dependency graph: smaller and still consistent everywhere.

Source: DepGraph (Fang et al., arXiv 2301.12900), which ``torch-pruning`` implements for PyTorch modules:
channels that can only go together (through depthwise convolutions, residual additions, pooling) form one
group, and a channel's importance is the L2 norm of all weights that go with it. Here the groups are found on
the graph itself, so the result is a ``Model`` at once and needs no PyTorch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.compress.examples import Examples, real_inputs
from mcusim.compress.floating import floating
from mcusim.compress.quantize.fold import fold
from mcusim.compress.quantize.forward import groups as in_groups
from mcusim.compress.quantize.forward import run
from mcusim.compress.refit import checked, reconstruct
from mcusim.core import BadArgument, BadModel
from mcusim.graph import Model, Op, OpKind, Tensor
from mcusim.graph.shapes import infer
from mcusim.graph.states import require_stateless
from mcusim.graph.validate import validate
from mcusim.tasks.task import require_one

SEEN = 128
"""Pictures that channels are judged by."""


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
        if op.traits.channels == "mixed":
            last = 3 if op.kind is OpKind.CONV_2D else 1
            slices[op.inputs[0]].append((op.inputs[1], last))
            slices[op.output] += [(op.inputs[1], 0), *((name, 0) for name in op.inputs[2:])]
        elif op.traits.channels == "kept" and _keeps(model, op):
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


def contribution(
    model: Model, group: Group, spread: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return how much of what the next layers give comes from each channel of a group.

    The root of the sum, over the layers that mix it, of the channel's variance (``spread``, by activation)
    times the squares of the weights that read it.
    """
    total = np.zeros(group.channels)
    for op in model.ops:
        if op.traits.channels == "mixed" and op.inputs[0] in group.tensors:
            weight = np.asarray(model.tensors[op.inputs[1]].data, np.float64)
            total += spread[op.inputs[0]] * np.square(weight.reshape(-1, group.channels)).sum(axis=0)
    return np.sqrt(total)


def spreads(model: Model, inputs: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Return the variance of each channel of every activation, over pictures and positions."""
    sums: dict[str, NDArray[np.float64]] = {}

    def visit(name: str, values: NDArray[np.float32]) -> None:
        rows = values.reshape(-1, values.shape[-1]).astype(np.float64)
        moments = np.stack([np.full(rows.shape[1], len(rows)), rows.sum(0), np.square(rows).sum(0)])
        sums[name] = sums.get(name, np.zeros_like(moments)) + moments

    for part in in_groups(model, inputs):
        run(model, part, visit)
    return {
        name: np.maximum(square / count - (total / count) ** 2, 0)
        for name, (count, total, square) in sums.items()
    }


def prune(
    model: Model | str | Path | Any,
    ratio: float,
    *,
    multiple: int = 8,
    residual: bool = True,
    inputs: Examples | None = None,
    images: int = 512,
    seed: int = 0,
    shape: tuple[int, ...] | None = None,
) -> Model:
    """Return a float network with the least important channels of every group removed.

    Without ``inputs`` a channel's importance is the norm of its weights. With them it is what the channel
    contributes to the next layers, and the weights that are left are refitted to do the work of all, see
    ``reconstruct``; nothing is trained, and no labels are needed. Quantisation comes afterwards.

    Args:
        model: a float32 network, the name or file of one, or a PyTorch module; batch normalisation is folded
            first.
        ratio: fraction of the channels of each group to remove, in [0, 1).
        multiple: numbers of channels kept are rounded up to a multiple of this.
        residual: also prune what a residual addition ties together.
        inputs: to refit on: prepared pictures, float32 ``[N, H, W, C]``, or a data set.
        images: how many training examples of a data set to draw.
        seed: of that drawing.
        shape: of a module's input, planes first with a batch of 1.

    Returns:
        The smaller float network.

    Raises:
        BadArgument: if a number makes no sense.
        BadData: if the pictures do not fit the network.
        BadModel: if the network is quantised, or has ops that pruning does not know.
    """
    if not 0 <= ratio < 1:
        raise BadArgument(f"ratio {ratio}", "is not in [0, 1)", "0.5 removes half of the channels")
    if multiple < 1:
        raise BadArgument(f"multiple {multiple}", "is not at least 1")
    model = floating(model, inputs, shape)
    require_one(model, "inputs")
    require_stateless(model, "cannot be pruned", "prune the network before it is made a streaming one")
    if model.input.dtype != "float32":
        raise BadModel(model.name, "is quantised", "prune the float network, then quantise it")
    model = fold(model)
    pictures = None if inputs is None else real_inputs(model, inputs, images, seed)
    added = {name for op in model.ops if op.kind is OpKind.ADD for name in op.inputs}
    spread = None if pictures is None else spreads(model, checked(model, pictures)[:SEEN])
    kept: dict[str, NDArray[np.int64]] = {}
    tensors = dict(model.tensors)
    for group in groups(model):
        count = min(group.channels, ceil(round(group.channels * (1 - ratio), 6) / multiple) * multiple)
        if count == group.channels or (not residual and added.intersection(group.tensors)):
            continue
        rank = importance(model, group) if spread is None else contribution(model, group, spread)
        best = np.sort(np.argsort(-rank, kind="stable")[:count])
        kept.update(dict.fromkeys(group.tensors, best))
        for name, axis in group.slices:
            tensors[name] = _taken(tensors[name], best, axis)
    for op in model.ops:
        tensors[op.output] = replace(tensors[op.output], shape=_shape(op, tensors))
    pruned = validate(replace(model, name=f"{model.name}-pruned{round(100 * ratio)}", tensors=tensors))
    return pruned if pictures is None else reconstruct(model, pruned, kept, pictures)


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
    if op.traits.channels == "mixed":
        channels = tensors[op.inputs[1]].shape[0]
    guess = (*declared[:-1], channels)
    return infer(op, {**tensors, op.output: replace(tensors[op.output], shape=guess)})
