"""Rewrites of a float network that change no result: what TFLite's ops can do at once becomes one op."""

from __future__ import annotations

from dataclasses import replace
from math import inf, prod

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import CONVOLUTIONS, Attributes, Model, Op, OpKind, Tensor
from mcusim.graph.traits import Family


def fold(model: Model) -> Model:
    """Return the network with everything folded that can be.

    - Batch normalisation, which arrives as MUL and ADD (or SUB) by constants, goes into the weights and
      bias of the convolution or fully connected op before it.
    - A factor and an offset for each channel that stay, such as those of layer normalisation, become one
      depthwise convolution of single pixels: one op instead of two, whose weights and biases learn.
    - RELU and RELU6 become the fused activation of the op before them.
    - PAD by zeros becomes the padding of the convolution after it.

    Each only where no one else reads the tensor in between.
    """
    for rule in (_fold_affine, _fold_scale, _fold_activation, _fold_pad):
        ops: list[Op] = []
        tensors = dict(model.tensors)
        for op in model.ops:
            before = _only_producer(model, ops, op)
            if before is None or not rule(ops, tensors, before, op):
                ops.append(op)
        used = {name for op in ops for name in (*op.inputs, op.output)} | {*model.inputs}
        tensors = {name: t for name, t in tensors.items() if name in used}
        head = model.head if model.head in {op.name for op in ops} else None
        model = replace(model, ops=tuple(ops), tensors=tensors, head=head)
    return model


def _only_producer(model: Model, ops: list[Op], op: Op) -> Op | None:
    """Return the op whose output ``op`` alone reads, among those kept so far."""
    variable = [name for name in op.inputs if not model.tensors[name].constant]
    if len(variable) != 1 or variable[0] in model.outputs:
        return None
    if sum(other.inputs.count(variable[0]) for other in model.ops) != 1:
        return None
    return next((made for made in reversed(ops) if made.output == variable[0]), None)


def _fold_affine(ops: list[Op], tensors: dict[str, Tensor], before: Op, op: Op) -> bool:
    if op.traits.family is not Family.BINARY:
        return False
    if not before.traits.weighted or before.attributes.clamp is not None:
        return False
    constant = next((tensors[name].data for name in op.inputs if tensors[name].constant), None)
    axis = before.traits.channel_axis
    channels = tensors[before.inputs[1]].shape[axis]
    if (
        constant is None
        or constant.size not in (1, channels)
        or constant.shape[-1:] not in ((), (1,), (channels,))
    ):
        return False
    if op.kind is OpKind.SUB and tensors[op.inputs[0]].constant:
        return False
    vector = np.broadcast_to(constant.astype(np.float64).ravel(), (channels,))
    weight = _values(tensors, before.inputs[1])
    bias = _values(tensors, before.inputs[2]) if before.bias else np.zeros(channels)
    if op.kind is OpKind.MUL:
        weight = weight * (vector if axis == 3 else vector.reshape(-1, *[1] * (weight.ndim - 1)))
        bias = bias * vector
    else:
        bias = bias + vector if op.kind is OpKind.ADD else bias - vector
    names = (f"{before.name}.folded_weight", f"{before.name}.folded_bias")
    for name, data in zip(names, (weight, bias), strict=True):
        tensors[name] = Tensor(name, data.shape, "float32", None, data.astype(np.float32))
    ops[ops.index(before)] = Op(
        before.name, before.kind, (before.inputs[0], *names), op.output,
        replace(before.attributes, clamp=op.attributes.clamp),
    )  # fmt: skip
    return True


def _fold_scale(ops: list[Op], tensors: dict[str, Tensor], before: Op, op: Op) -> bool:
    if (before.kind, op.kind) not in ((OpKind.MUL, OpKind.ADD), (OpKind.MUL, OpKind.SUB)):
        return False
    x, factor = _by_channel(tensors, before)
    between, offset = _by_channel(tensors, op)
    if (
        x is None
        or between is None
        or factor is None
        or offset is None
        or before.attributes.clamp is not None
    ):
        return False
    if op.kind is OpKind.SUB and tensors[op.inputs[0]].constant:
        return False
    shape = x.shape
    row = (shape[0], 1, prod(shape[1:-1]), shape[-1])
    names = (f"{op.name}.weight", f"{op.name}.bias")
    sign = -1 if op.kind is OpKind.SUB else 1
    for name, data in zip(names, (factor.reshape(1, 1, 1, -1), sign * offset), strict=True):
        tensors[name] = Tensor(name, data.shape, "float32", None, data.astype(np.float32))
    clamp = op.attributes.clamp
    flat = shape if len(shape) == 4 else row
    given, made = (x.name, op.output) if len(shape) == 4 else (f"{op.output}.row", f"{op.output}.scaled")
    chain = [Op(made, OpKind.DEPTHWISE_CONV_2D, (given, *names), made, Attributes(clamp=clamp))]
    if flat != shape:
        for name in (given, made):
            tensors[name] = replace(tensors[op.output], name=name, shape=flat)
        plain = Attributes(clamp=None)
        first = Op(given, OpKind.RESHAPE, (x.name,), given, replace(plain, shape=flat))
        last = Op(op.name, OpKind.RESHAPE, (made,), op.output, replace(plain, shape=shape))
        chain = [first, *chain, last]
    at = ops.index(before)
    ops[at : at + 1] = chain
    return True


def _by_channel(tensors: dict[str, Tensor], op: Op) -> tuple[Tensor | None, NDArray[np.float64] | None]:
    """Return the activation an op combines with a number for each channel, and those numbers."""
    x = next((tensors[name] for name in op.inputs if not tensors[name].constant), None)
    constant = next((tensors[name] for name in op.inputs if tensors[name].constant), None)
    if x is None or constant is None or len(x.shape) < 2 or x.shape != tensors[op.output].shape:
        return None, None
    if constant.shape[-1:] != x.shape[-1:] or constant.elements != x.shape[-1] or x.shape[-1] < 2:
        return None, None
    return x, _values(tensors, constant.name).reshape(-1)


def _values(tensors: dict[str, Tensor], name: str) -> NDArray[np.float64]:
    data = tensors[name].data
    assert data is not None
    return data.astype(np.float64)


def _fold_activation(ops: list[Op], tensors: dict[str, Tensor], before: Op, op: Op) -> bool:
    if op.traits.activation is None or not before.traits.fuses:
        return False
    low, high = op.traits.activation
    had = before.attributes.clamp or (-inf, inf)
    clamp = (max(low, had[0]), max(min(high, had[1]), low))
    ops[ops.index(before)] = replace(
        before, output=op.output, attributes=replace(before.attributes, clamp=clamp)
    )
    return True


def _fold_pad(ops: list[Op], tensors: dict[str, Tensor], before: Op, op: Op) -> bool:
    if before.kind is not OpKind.PAD or before.attributes.fill or op.kind not in CONVOLUTIONS:
        return False
    pads = before.attributes.pads
    if any(pads[0]) or any(pads[3]):
        return False
    (top, bottom), (left, right) = op.attributes.padding
    padding = ((top + pads[1][0], bottom + pads[1][1]), (left + pads[2][0], right + pads[2][1]))
    attributes: Attributes = replace(op.attributes, padding=padding)
    ops[ops.index(before)] = replace(op, inputs=(before.inputs[0], *op.inputs[1:]), attributes=attributes)
    return True
