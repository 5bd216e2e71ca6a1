"""Ops that move elements or give them another shape: ONNX counts dimensions planes first.

Operator definitions: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from math import prod

import numpy as np

from mcusim.files.onnx.graph import (
    NCHW,
    NHWC,
    Const,
    OnnxGraph,
    Shape,
    Value,
    onnx_shape,
)  # fmt: skip
from mcusim.files.onnx.proto import Node
from mcusim.graph import OpKind


def reshape(g: OnnxGraph, node: Node) -> Value:
    """Reshape, Flatten, Squeeze and Unsqueeze: the elements stay in ONNX's order."""
    x = g.value(node, 0)
    x = g.to_be_int8(x) or g.settled(x)
    if isinstance(x, Const):
        return Const(x.data.reshape(_new_shape(g, node, x.data.shape)), x.quant)
    return reshaped(g, node, x, _new_shape(g, node, onnx_shape(g.shape(x))))


def reshaped(g: OnnxGraph, node: Node, x: Value, new: Shape, suffix: str = "") -> Value:
    """Return a computed value under another shape, both in ONNX's order of elements."""
    old = onnx_shape(g.shape(x))
    if len(old) == 4 and old[2:] != (1, 1):
        # ONNX flattens planes first.
        x = g.move(node, OpKind.TRANSPOSE, x, suffix=f"{suffix}.planes", axes=NCHW)
    if len(new) != 4:
        return g.move(node, OpKind.RESHAPE, x, suffix=suffix, shape=new)
    x = g.move(node, OpKind.RESHAPE, x, suffix=f"{suffix}.flat", shape=new)
    return g.move(node, OpKind.TRANSPOSE, x, suffix=suffix, axes=NHWC)


def _new_shape(g: OnnxGraph, node: Node, old: Shape) -> Shape:
    count = int(np.prod(np.array(old, object))) if old else 1
    given = g.constant(node, 1) if node.kind in ("Reshape", "Squeeze", "Unsqueeze") else None
    listed = (
        node.integers("axes", ()) if given is None else tuple(int(v) for v in given.data.reshape(-1)[:16])
    )
    match node.kind:
        case "Flatten":
            axis = node.integer("axis", 1)
            if not -len(old) <= axis <= len(old):
                raise node.fail(f"flattens before dimension {axis} of {len(old)}")
            axis += len(old) if axis < 0 else 0
            front = int(np.prod(np.array(old[:axis], object))) if axis else 1
            return (front, count // front)
        case "Squeeze":
            ones = {i for i, s in enumerate(old) if s == 1}
            gone = set(node.axes(listed, len(old))) if listed else ones
            if gone - ones:
                raise node.fail(f"drops dimensions {sorted(gone)} of {old}", "only those of size 1 can go")
            return tuple(s for i, s in enumerate(old) if i not in gone)
        case "Unsqueeze":
            rank = len(old) + len(listed)
            places, rest = node.axes(listed, rank), iter(old)
            return tuple(1 if i in places else next(rest) for i in range(rank))
        case _:
            if 0 in listed and node.integer("allowzero", 0):
                raise node.fail(f"makes an empty tensor: {listed}")
            sizes = [old[i] if s == 0 and i < len(old) else s for i, s in enumerate(listed)]
            known = int(np.prod(np.array([s for s in sizes if s != -1], object))) if sizes else 1
            if sizes.count(-1) > 1 or known < 1 or count % known:
                raise node.fail(f"cannot turn {old} into {listed}")
            return tuple(count // known if s == -1 else int(s) for s in sizes)


def transpose(g: OnnxGraph, node: Node) -> Value:
    """Transpose."""
    x = g.value(node, 0)
    x = g.to_be_int8(x) or g.settled(x)
    rank = len(g.shape(x))
    order = node.integers("perm", tuple(range(rank))[::-1])
    if sorted(order) != list(range(rank)):
        raise node.fail(f"{order} is no permutation of {rank} dimensions")
    if isinstance(x, Const):
        return x.transposed(order)
    axes = tuple(NHWC.index(order[NHWC[i]]) for i in range(4)) if rank == 4 else order
    return g.move(node, OpKind.TRANSPOSE, x, axes=axes)


def concat(g: OnnxGraph, node: Node) -> Value:
    """Concat."""
    parts = [g.value(node, i) for i in range(len(node.inputs))]
    rank, axis = len(g.shape(parts[0])), node.integer("axis", 0)
    if not -rank <= axis < rank:
        raise node.fail(f"joins along dimension {axis} of {rank}")
    if rank == 4:
        parts = [p.transposed(NHWC) if isinstance(p, Const) and p.data.ndim == 4 else p for p in parts]
    place = NHWC.index(axis % rank) if rank == 4 else axis % rank
    return g.pend(node, OpKind.CONCATENATION, parts, axes=(place,))


def softmax(g: OnnxGraph, node: Node, *, kind: OpKind = OpKind.SOFTMAX) -> Value:
    """Softmax, LogSoftmax: along one dimension since opset 13; before, along all from that one on at once."""
    x = g.value(node, 0)
    shape, since_13 = onnx_shape(g.shape(x)), g.opset >= 13
    rank = len(shape)
    (axis,) = node.axes((node.integer("axis", -1 if since_13 else 1),), rank)
    columns = prod(shape[axis:])
    if not since_13 and columns != shape[axis]:
        rows = reshaped(g, node, g.settled(x), (prod(shape[:axis]), columns), ".rows")
        shares = g.pend(node, kind, [rows], suffix=".shares", axes=(1,))
        return reshaped(g, node, shares, shape)
    place = NHWC.index(axis) if rank == 4 else axis
    if place == rank - 1:
        return g.pend(node, kind, [x], axes=(place,))
    swap = tuple({place: rank - 1, rank - 1: place}.get(i, i) for i in range(rank))
    x = g.move(node, OpKind.TRANSPOSE, x, suffix=".rows", axes=swap)
    shares = g.pend(node, kind, [x], suffix=".shares", axes=(rank - 1,))
    return g.move(node, OpKind.TRANSPOSE, shares, axes=swap)


def pad(g: OnnxGraph, node: Node) -> Value:
    """Pad with a number or by reflection; since opset 18 perhaps only some dimensions, in any order."""
    x, given, fill = g.value(node, 0), g.constant(node, 1), g.constant(node, 2)
    flat = node.integers("pads", ()) if given is None else tuple(int(v) for v in given.data.reshape(-1)[:16])
    rank, listed = len(g.shape(x)), g.constant(node, 3)
    every = tuple(range(rank))
    axes = node.axes(every if listed is None else tuple(int(a) for a in listed.data.reshape(-1)[:8]), rank)
    mode = node.attributes.get("mode", "constant")
    if mode not in ("constant", "reflect") or len(flat) != 2 * len(axes) or min(flat, default=0) < 0:
        raise node.fail(f"pads by {flat}, {mode}", "supported: constant and reflect, two numbers a dimension")
    found = dict(zip(axes, zip(flat[: len(axes)], flat[len(axes) :], strict=True), strict=True))
    pads = [found.get(i, (0, 0)) for i in every]
    places = tuple(pads[i] for i in NHWC) if rank == 4 else tuple(pads)
    if mode == "reflect":
        return g.move(node, OpKind.MIRROR_PAD, x, pads=places)
    value = float(node.attributes.get("value", 0.0)) if fill is None else float(fill.real.reshape(-1)[0])
    return g.move(node, OpKind.PAD, x, pads=places, fill=value or None)
