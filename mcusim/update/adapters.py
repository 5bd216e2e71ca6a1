"""Low-rank adapters beside frozen convolutions: a few weights that all learn, and a base that never does.

LoRA (arXiv 2106.09685) adds B A x to what a frozen layer W gives of x, with A of few rows and B of few
columns. Here A and B are pointwise int8 convolutions, and their sum with the frozen output is an ADD: a
network with adapters is one like any other, planned, executed and written as C with no kernel of its own.

Source of the start: A is drawn as PyTorch draws a layer, U(-1/sqrt(C), 1/sqrt(C)), and B is zero, so that the
network gives the same until it learns. What LoRA leaves open is how to quantise: A's weights span four times
their bound; A's output spans what x does, seven times its standard deviation if x fills its range evenly; B's
weights and output are such that an output of A at its end and a weight of B at its end give one at its end.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np

from mcusim.core import BadArgument, BadModel
from mcusim.graph import Attributes, Model, Op, OpKind, Quant
from mcusim.graph.build import GraphBuilder
from mcusim.graph.validate import validate
from mcusim.update.blocks import blocks as blocks_of

DOWN, UP, SUM = ".lora_down", ".lora_up", ".lora_sum"
"""What the names of an adapter's ops end with, after that of the frozen one."""
RANGE = 4
"""A's weights span so many times their initial bound, so that they can grow while they learn."""
WHOLE = (-128, 127)


def add_adapters(model: Model, rank: int, *, blocks: int = 7, seed: int = 0) -> Model:
    """Return a network with a low-rank adapter beside the projection of each of the last blocks.

    A projection is the last pointwise convolution of a block, the one without an activation behind it, so
    that what is added to its output is added before any. The network gives the same outputs, bit for bit.

    Args:
        model: an int8 network with inverted residual or depthwise-separable blocks.
        rank: channels between the two convolutions of an adapter.
        blocks: how many of the last blocks get one; where there are fewer, all.
        seed: of the draw of A.

    Raises:
        BadArgument: if a number is below 1, or the network has adapters already.
        BadModel: if none of these blocks has an int8 projection.
    """
    for name, value in (("rank", rank), ("blocks", blocks)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BadArgument(f"{name}={value!r}", "is no number from 1 up", f"try {name}=4")
    if adapters(model):
        raise BadArgument(f"model {model.name}", "has adapters already", "load it without them first")
    chosen = {op.name: number for number, op in enumerate(_projections(model, blocks))}
    if not chosen:
        raise BadModel(
            model.name,
            f"has no int8 pointwise projection in its last {blocks} blocks to set an adapter beside",
            "let layers learn by another scheme",
        )
    build = GraphBuilder()
    build.tensors = dict(model.tensors)
    for op in model.ops:
        if op.name in chosen:
            _emit(build, model, op, rank, np.random.default_rng((seed, chosen[op.name])))
        else:
            build.ops.append(op)
    return validate(replace(model, ops=tuple(build.ops), tensors=build.tensors))


def adapters(model: Model) -> tuple[Op, ...]:
    """Return the convolutions of all adapters, in execution order."""
    return tuple(op for op in model.ops if op.traits.weighted and op.name.endswith((DOWN, UP)))


def _projections(model: Model, last: int) -> list[Op]:
    names = {block.project for block in blocks_of(model)[-last:] if block.project is not None}
    return [op for op in model.ops if op.name in names and _suits(model, op)]


def _suits(model: Model, op: Op) -> bool:
    x, y = model.tensors[op.inputs[0]], model.tensors[op.output]
    plain = op.attributes.stride == (1, 1) and op.attributes.padding == ((0, 0), (0, 0))
    per_tensor = all(t.quant is not None and not t.quant.per_channel for t in (x, y))
    return op.kind is OpKind.CONV_2D and plain and per_tensor and x.dtype == y.dtype == "int8"


def _emit(build: GraphBuilder, model: Model, op: Op, rank: int, rng: np.random.Generator) -> None:
    """Append a frozen convolution, then A, B and the sum, which takes the name of its output."""
    x, y = model.tensors[op.inputs[0]], model.tensors[op.output]
    assert x.quant is not None
    assert y.quant is not None
    inputs, outputs = x.shape[-1], y.shape[-1]
    between = Quant.of(float(x.quant.scale[0]) * 255 / 127)
    bound = 1 / sqrt(inputs)
    down = Quant.of(RANGE * bound / 127)
    up = Quant.of(float(y.quant.scale[0]) / (127 * float(between.scale[0])))
    a = np.rint(rng.uniform(-bound, bound, (rank, 1, 1, inputs)) / down.scale[0]).astype(np.int8)
    frozen = build.activation(f"{op.output}.frozen", y.shape, y.quant)
    build.op(op.name, op.kind, op.inputs, frozen, op.attributes)
    parts = (
        (DOWN, x.name, a, down, (*y.shape[:-1], rank), between),
        (UP, f"{op.name}{DOWN}", np.zeros((outputs, 1, 1, rank), np.int8), up, y.shape, y.quant),
    )
    for suffix, source, weight, quant, shape, output in parts:
        name = f"{op.name}{suffix}"
        w = build.constant(f"{name}.weight", weight, quant)
        build.activation(name, shape, output)
        build.op(name, OpKind.CONV_2D, (source, w), name, Attributes(clamp=WHOLE))
    build.op(f"{op.name}{SUM}", OpKind.ADD, (frozen, f"{op.name}{UP}"), op.output, Attributes(clamp=WHOLE))
