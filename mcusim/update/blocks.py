"""Blocks of a network, found from its graph and not from names."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby

from mcusim.graph import Model, Op, OpKind
from mcusim.update.channels import trunk


@dataclass(frozen=True, slots=True)
class LayerBlock:
    """A block: the ops of the trunk that belong together, in execution order.

    An inverted-residual block (arXiv 1801.04381) is expand -> depthwise -> project; without expansion,
    or in depthwise-separable networks, ``expand`` is ``None``. Any other layers between two points
    where a single tensor carries everything (a residual block of a ResNet, one layer of a plain chain)
    are a block too, with all three ``None``.
    """

    ops: tuple[str, ...]
    expand: str | None = None
    depthwise: str | None = None
    project: str | None = None


def is_pointwise(model: Model, op: Op) -> bool:
    """True for a 1x1 convolution, and for a fully connected op, which is one on a single pixel."""
    if op.kind is OpKind.FULLY_CONNECTED:
        return True
    return op.kind is OpKind.CONV_2D and model.tensors[op.inputs[1]].shape[1:3] == (1, 1)


def is_expanding(model: Model, op: Op) -> bool:
    """True for a pointwise op with more outputs than inputs."""
    shape = model.tensors[op.inputs[1]].shape
    return is_pointwise(model, op) and shape[0] > shape[-1]


def blocks(model: Model) -> tuple[LayerBlock, ...]:
    """Return the blocks of the trunk in execution order; every op of the trunk is in exactly one."""
    ops = trunk(model)
    order = {op.name: i for i, op in enumerate(model.ops)}
    cores = _cores(model)
    owner: dict[str, int] = {}
    for number, core in enumerate(cores):
        first, last = order[core.ops[0]], order[core.ops[-1]]
        inside = [op.name for op in ops if first <= order[op.name] <= last]
        owner.update({name: number for name in inside if name not in owner})
    segment = _segments(model)
    keys = [(owner.get(op.name, -1), -1 if op.name in owner else segment[op.name]) for op in ops]
    found = []
    for key, group in groupby(zip(keys, ops, strict=True), key=lambda pair: pair[0]):
        names = tuple(op.name for _, op in group)
        core = cores[key[0]] if key[0] >= 0 else LayerBlock(names)
        found.append(LayerBlock(names, core.expand, core.depthwise, core.project))
    return tuple(found)


def _cores(model: Model) -> list[LayerBlock]:
    """Return expand, depthwise and project of every depthwise op."""
    producer = {op.output: op for op in model.ops}
    consumers: dict[str, list[Op]] = defaultdict(list)
    for op in model.ops:
        for name in op.inputs:
            consumers[name].append(op)
    weighted = {op.name for op in trunk(model)}
    cores = []
    taken: set[str] = set()
    for op in trunk(model):
        if op.kind is not OpKind.DEPTHWISE_CONV_2D or op.name in taken:
            continue
        above = _above(op, producer, consumers, weighted)
        below = _below(model, op, consumers, weighted)
        expand = above.name if above and above.name not in taken and is_expanding(model, above) else None
        project = below.name if below and is_pointwise(model, below) else None
        names = tuple(n for n in (expand, op.name, project) if n)
        taken.update(names)
        cores.append(LayerBlock(names, expand, op.name, project))
    return cores


def _above(op: Op, producer: dict[str, Op], consumers: dict[str, list[Op]], weighted: set[str]) -> Op | None:
    """Return the op with weights whose result, and nothing else, reaches ``op``."""
    name = op.inputs[0]
    while name in producer and len(consumers[name]) == 1:
        before = producer[name]
        if before.name in weighted:
            return before
        if not before.traits.shaping:
            return None
        name = before.inputs[0]
    return None


def _below(model: Model, op: Op, consumers: dict[str, list[Op]], weighted: set[str]) -> Op | None:
    """Return the next op with weights on the path that keeps the spatial size of ``op``'s output.

    A squeeze-and-excitation branch leaves that path through a pooled, smaller tensor.
    """
    size = model.tensors[op.output].shape[1:-1]
    frontier = [op.output]
    seen: set[str] = set()
    while frontier:
        name = frontier.pop(0)
        for after in consumers[name]:
            if after.name in weighted and after.inputs[0] == name:
                return after
            if after.output not in seen and model.tensors[after.output].shape[1:-1] == size:
                seen.add(after.output)
                frontier.append(after.output)
    return None


def _segments(model: Model) -> dict[str, int]:
    """Number the stretches between points of the execution order where one activation is live."""
    last_use: dict[str, int] = {}
    for i, op in enumerate(model.ops):
        last_use.update({name: i for name in op.inputs if not model.tensors[name].constant})
    last_use.update({name: len(model.ops) for name in model.outputs})
    live = {name for name in model.inputs if name in last_use}
    number = 0
    found = {}
    for i, op in enumerate(model.ops):
        found[op.name] = number
        live.add(op.output)
        live = {name for name in live if last_use.get(name, -1) > i}
        number += len(live) == 1
    return found
