"""ONNX operators that reduce dimensions to one number: means, sums, extremes, global poolings.

Operator definitions: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from dataclasses import replace

from mcusim.files.folding import integers
from mcusim.files.onnx.graph import (
    NCHW,
    NHWC,
    Moved,
    OnnxGraph,
    Pending,
    Shape,
    Value,
    onnx_shape,
    stored_shape,
)  # fmt: skip
from mcusim.files.onnx.layout import reshaped
from mcusim.files.onnx.proto import Node
from mcusim.graph import TRAITS, OpKind


def global_pool(kind: OpKind, g: OnnxGraph, node: Node) -> Value:
    """GlobalAveragePool and its like: everything behind the channels becomes one number."""
    x = g.value(node, 0)
    rank = len(g.shape(x))
    if rank < 3:
        raise node.fail(f"pools {onnx_shape(g.shape(x))}, which has no pixels")
    return _kept(g, node, kind, x, tuple(range(2, rank)))


def reduce(kind: OpKind, g: OnnxGraph, node: Node) -> Value:
    """ReduceMean and its like."""
    x, given = g.value(node, 0), g.constant(node, 1)
    shape = onnx_shape(g.shape(x))
    listed = node.integers("axes", ()) if given is None else tuple(integers(given.data)[:8])
    if not listed and node.integer("noop_with_empty_axes", 0):
        return x
    axes = node.axes(listed or tuple(range(len(shape))), len(shape))
    keep = node.integer("keepdims", 1)
    dropped = tuple(size for i, size in enumerate(shape) if i not in axes)
    if not keep and not dropped:
        raise node.fail(f"leaves no dimension of {shape}", "export it with the batch: keepdims=1")
    kept = _kept(g, node, kind, x, axes)
    if keep:
        return kept
    if not isinstance(kept, Pending):
        return reshaped(g, node, kept, dropped, ".dropped")
    return replace(kept, after=_moves(kept.shape, dropped))


def _kept(g: OnnxGraph, node: Node, kind: OpKind, x: Value, axes: Shape) -> Value:
    """Reduce ONNX's dimensions ``axes`` to a size of 1, at its own scale or at that of the input."""
    shape = onnx_shape(g.shape(x))
    places = tuple(sorted(NHWC.index(a) if len(shape) == 4 else a for a in axes))
    declared = stored_shape(tuple(1 if i in axes else size for i, size in enumerate(shape)))
    if TRAITS[kind].scale == "input":
        return g.move(node, kind, x, axes=places, declared=declared)
    return g.pend(node, kind, [x], axes=places, declared=declared)


def _moves(kept: Shape, dropped: Shape) -> tuple[Moved, ...]:
    """Return what makes a stored shape with dimensions of 1 one without them, in ONNX's order."""
    moves = []
    order = [NHWC[i] for i in range(4) if kept[i] > 1] if len(kept) == 4 else []
    if order != sorted(order):
        moves.append(Moved(OpKind.TRANSPOSE, onnx_shape(kept), NCHW))
    moves.append(Moved(OpKind.RESHAPE, dropped))
    if len(dropped) == 4:
        moves.append(Moved(OpKind.TRANSPOSE, stored_shape(dropped), NHWC))
    return tuple(moves)
