"""Channel pruning of a float network by dependency graph: smaller and still consistent everywhere.

Source: DepGraph (Fang et al., arXiv 2301.12900), which ``torch-pruning`` implements for PyTorch modules:
channels that can only go together (through depthwise convolutions, residual additions, pooling, joins,
slices, flattened maps) form one class, and its importance is the L2 norm of all weights that go with it.
Classes of layers that meet are compared with each other. Here they are found on the graph itself
(`mcusim.compress.channels`), so the result is a ``Model`` at once and needs no PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.compress.channels import NONE, Along, Channels
from mcusim.compress.examples import Examples, real_inputs
from mcusim.compress.floating import floating
from mcusim.compress.quantize.fold import fold
from mcusim.compress.quantize.forward import groups as in_groups
from mcusim.compress.quantize.forward import run
from mcusim.compress.refit import Remaining, checked, reconstruct
from mcusim.core import BadArgument, BadModel
from mcusim.graph import Model, Op, OpKind
from mcusim.graph.states import require_stateless
from mcusim.graph.validate import validate

SEEN = 128
"""Pictures that channels are judged by."""
Norms = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Group:
    """Layers whose channels are compared, and can only be removed together where they are one.

    Attributes:
        tensors: names of the activations that have channels of it, in execution order.
        slices: (constant, axis) of everything that has entries for these channels.
        classes: numbers of the channels that are one, see `Channels`.
    """

    tensors: tuple[str, ...]
    slices: tuple[tuple[str, int], ...]
    classes: tuple[tuple[int, ...], ...]

    @property
    def channels(self) -> int:
        """How many classes there are."""
        return len(self.classes)


def groups(model: Model) -> tuple[Group, ...]:
    """Return the groups of a network that can lose channels: not those of its inputs and outputs."""
    return _groups(Channels(model))


def _groups(found: Channels) -> tuple[Group, ...]:
    made = []
    for classes in found.groups():
        numbers = {number for members in classes for number in members}
        tensors = tuple(
            name for name, along in found.along.items() if not numbers.isdisjoint(along.numbers.tolist())
        )
        slices = tuple(
            dict.fromkeys(
                (p.constant, p.axis) for p in found.parts if not numbers.isdisjoint(p.numbers.tolist())
            )
        )
        made.append(Group(tensors, slices, tuple(map(tuple, classes))))
    return tuple(made)


def importance(model: Model, group: Group) -> Norms:
    """Return the L2 norm of all weights that go with each channel of a group."""
    return _importance(model, Channels(model), group)


def _importance(model: Model, found: Channels, group: Group) -> Norms:
    total = np.zeros(len(found))
    for part in found.parts:
        data = np.asarray(model.tensors[part.constant].data, np.float64)
        if data.ndim > 1:  # biases and scales are no weights
            squares = np.square(np.moveaxis(data, part.axis, 0).reshape(len(part.numbers), -1)).sum(axis=1)
            np.add.at(total, part.numbers[part.numbers != NONE], squares[part.numbers != NONE])
    return _of_classes(total, group)


def _contribution(model: Model, found: Channels, group: Group, spread: Mapping[str, Norms]) -> Norms:
    """Return how much of what the next layers give comes from each channel of a group.

    The root of the sum, over the layers that mix it, of the channel's variance (``spread``, by constant)
    times the squares of the weights that read it.
    """
    total = np.zeros(len(found))
    for part in found.parts:
        if part.read:
            weight = np.asarray(model.tensors[part.constant].data, np.float64)
            amounts = spread[part.constant] * np.square(weight.reshape(-1, len(part.numbers))).sum(axis=0)
            np.add.at(total, part.numbers[part.numbers != NONE], amounts[part.numbers != NONE])
    return _of_classes(total, group)


def _of_classes(total: Norms, group: Group) -> Norms:
    sums = [sum(float(total[number]) for number in members) for members in group.classes]
    return np.asarray(np.sqrt(np.array(sums)), np.float64)


def _spreads(model: Model, found: Channels, inputs: NDArray[Any]) -> dict[str, Norms]:
    """Return the variance of each channel that a layer reads, over pictures and positions, by its weight."""
    sums: dict[str, Norms] = {}
    readers: dict[str, list[tuple[str, int]]] = {}
    for part in found.parts:
        if part.read:
            readers.setdefault(part.read, []).append((part.constant, len(part.numbers)))

    def visit(name: str, values: NDArray[np.float32]) -> None:
        for constant, count in readers.get(name, ()):
            rows = values.reshape(-1, count).astype(np.float64)
            moments = np.stack([np.full(count, len(rows)), rows.sum(0), np.square(rows).sum(0)])
            sums[constant] = sums.get(constant, np.zeros_like(moments)) + moments

    for some in in_groups(model, inputs):
        run(model, some, visit)
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
    ``reconstruct``; nothing is trained, and no labels are needed. Quantisation comes afterwards. Channels
    that an op uses in a way that cannot be followed, as a normalisation over them, stay.

    Args:
        model: a float32 network, the name or file of one, or a PyTorch module; batch normalisation is folded
            first. It may have several inputs and outputs.
        ratio: fraction of the channels of each group to remove, in [0, 1).
        multiple: numbers of channels kept are rounded up to a multiple of this.
        residual: also prune what a residual addition ties together.
        inputs: to refit on: prepared inputs, float32 ``[N, H, W, C]``, for several a tuple of them or a
            dictionary by name; or a data set.
        images: how many training examples of a data set to draw.
        seed: of that drawing.
        shape: of a module's input, planes first with a batch of 1.

    Returns:
        The smaller float network.

    Raises:
        BadArgument: if a number makes no sense.
        BadData: if the pictures do not fit the network.
        BadModel: if the network is quantised, or has no channels that could go.
    """
    if not 0 <= ratio < 1:
        raise BadArgument(f"ratio {ratio}", "is not in [0, 1)", "0.5 removes half of the channels")
    if multiple < 1:
        raise BadArgument(f"multiple {multiple}", "is not at least 1")
    model = floating(model, inputs, shape)
    require_stateless(model, "cannot be pruned", "prune the network before it is made a streaming one")
    if model.input.dtype != "float32":
        raise BadModel(model.name, "is quantised", "prune the float network, then quantise it")
    model = fold(model)
    pictures = None if inputs is None else checked(model, real_inputs(model, inputs, images, seed))
    found = Channels(model)
    known = _groups(found)
    if not known:
        raise BadModel(model.name, "has no channels that could go", "its layers mix all that they are given")
    added = {name for op in model.ops if op.kind is OpKind.ADD for name in op.inputs}
    spread = None if pictures is None else _spreads(model, found, pictures[:SEEN])
    gone: set[int] = set()
    for group in known:
        count = min(group.channels, ceil(round(group.channels * (1 - ratio), 6) / multiple) * multiple)
        if count == group.channels or (not residual and added.intersection(group.tensors)):
            continue
        rank = (
            _importance(model, found, group) if spread is None else _contribution(model, found, group, spread)
        )
        for place in np.argsort(-rank, kind="stable")[count:]:
            gone.update(group.classes[place])
    kept = {
        name: Remaining(along.axis, np.flatnonzero(~np.isin(along.numbers, list(gone))))
        for name, along in found.along.items()
        if not gone.isdisjoint(along.numbers.tolist())
    }
    pruned = _smaller(model, found, kept, gone, f"{model.name}-pruned{round(100 * ratio)}")
    return pruned if pictures is None else reconstruct(model, pruned, kept, pictures)


def _smaller(
    model: Model, found: Channels, kept: Mapping[str, Remaining], gone: set[int], name: str
) -> Model:
    """Return the network without the channels that go."""
    tensors = dict(model.tensors)
    for part in found.parts:
        places = np.flatnonzero(~np.isin(part.numbers, list(gone)))
        tensor = tensors[part.constant]
        data = np.ascontiguousarray(np.take(np.asarray(tensor.data), places, axis=part.axis))
        data.flags.writeable = False
        tensors[part.constant] = replace(tensor, shape=data.shape, data=data)
    for activation, (axis, places) in kept.items():
        old = tensors[activation]
        shape = (*old.shape[:axis], len(places), *old.shape[axis + 1 :])
        tensors[activation] = replace(old, shape=shape)
    ops = tuple(
        _fitted(op, found.along.get(op.inputs[0]), kept, tensors[op.output].shape) for op in model.ops
    )
    return validate(replace(model, name=name, ops=ops, tensors=tensors))


def _fitted(op: Op, given: Along | None, kept: Mapping[str, Remaining], shape: tuple[int, ...]) -> Op:
    """Return an op whose attributes name the shape that is left."""
    a = op.attributes
    if op.output not in kept or not a.shape:
        return op
    if op.kind is not OpKind.STRIDED_SLICE:
        return replace(op, attributes=replace(a, shape=shape))
    if given is None or given.axis not in a.axes or op.inputs[0] not in kept:
        return op
    at, places = a.axes.index(given.axis), kept[op.inputs[0]].places
    begin, count = list(a.begin), list(a.shape)
    begin[at], count[at] = int((places < a.begin[at]).sum()), shape[given.axis]
    return replace(op, attributes=replace(a, begin=tuple(begin), shape=tuple(count)))
