"""ONNX nodes whose values are known when the file is read: constants of constants, and shapes.

Operator definitions: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.files.folding import (
    ELEMENTWISE,
    REDUCTIONS,
    arange,
    elementwise,
    evaluate,
    integers,
    room,
    take,
    tile,
)  # fmt: skip
from mcusim.files.onnx.graph import Const, OnnxGraph, Shape, onnx_shape
from mcusim.files.onnx.proto import TYPES, Node

Array = NDArray[Any]
Fold = Callable[[Node, list[Array]], Any]


def _elementwise(function: Callable[..., Any]) -> Fold:
    def fold(node: Node, x: list[Array]) -> Array:
        if getattr(function, "nin", 0) == 2 and len(x) != 2:  # Max and Min take any number
            return reduce(lambda a, b: elementwise(function, [a, b]), x)
        return elementwise(function, x)

    return fold


def _reduction(function: Callable[..., Any]) -> Fold:
    def fold(node: Node, x: list[Array]) -> Any:
        axes = tuple(integers(x[1])) if len(x) > 1 else node.integers("axes", ())
        found = function(x[0], axis=axes or None, keepdims=bool(node.integer("keepdims", 1)))
        return np.asarray(found).astype(x[0].dtype)

    return fold


def _cast(node: Node, x: list[Array]) -> Array:
    kind = node.integer("to", 0)
    if kind not in TYPES:
        raise TypeError(f"cast to the ONNX element type {kind}")
    return x[0].astype(TYPES[kind][0])


def _slice(node: Node, x: list[Array]) -> Array:
    parts = [integers(v) for v in x[1:5]]
    if len(x) == 1:
        parts = [list(node.integers("starts", ())), list(node.integers("ends", ()))]
        if "axes" in node.attributes:
            parts.append(list(node.integers("axes", ())))
    starts, ends = parts[:2]
    axes = parts[2] if len(parts) > 2 else list(range(len(starts)))
    steps = parts[3] if len(parts) > 3 else [1] * len(starts)
    index = [slice(None)] * x[0].ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis] = slice(start, end, step)
    return np.asarray(x[0][tuple(index)])


def _listed(node: Node, x: list[Array]) -> tuple[int, ...]:
    return tuple(integers(x[1])) if len(x) > 1 else node.integers("axes", ())


def _constant_of_shape(node: Node, x: list[Array]) -> Array:
    value = np.asarray(node.attributes.get("value", np.zeros(1, np.float32)))
    return np.full(room(integers(x[0])), value.reshape(-1)[0], value.dtype)


def _reshape(node: Node, x: list[Array]) -> Array:
    sizes = integers(x[1])
    if not node.integer("allowzero", 0):
        sizes = [x[0].shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x[0].reshape(sizes)


FOLDS: dict[str, Fold] = {
    **{name: _elementwise(function) for (_, name), function in ELEMENTWISE.items()},
    **{name: _reduction(function) for (_, name), function in REDUCTIONS.items()},
    "Cast": _cast,
    "Concat": lambda node, x: np.concatenate(x, node.integer("axis", 0)),
    "ConstantOfShape": _constant_of_shape,
    "Expand": lambda node, x: np.broadcast_to(x[0], np.broadcast_shapes(x[0].shape, room(integers(x[1])))),
    "Mod": lambda node, x: (np.fmod if node.integer("fmod", 0) else np.mod)(*x),
    "Gather": lambda node, x: take(x[0], x[1], node.integer("axis", 0)),
    "Range": lambda node, x: arange(*x),
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": lambda node, x: np.squeeze(x[0], _listed(node, x) or None),
    "Tile": lambda node, x: tile(x[0], x[1]),
    "Transpose": lambda node, x: x[0].transpose(node.integers("perm", tuple(range(x[0].ndim))[::-1])),
    "Unsqueeze": lambda node, x: np.expand_dims(x[0], _listed(node, x)),
}
"""By operator, of constants in ONNX's own layout."""


def fold(g: OnnxGraph, node: Node) -> Const | None:
    """Return a node's value as a constant; None if it is known only when the network runs.

    Raises:
        BadModel: if its constants do not fit each other.
    """
    try:
        if node.kind in ("Shape", "Size") and (shape := _shape(g, node)) is not None:
            if node.kind == "Size":
                return Const(evaluate(lambda: np.array(np.prod(shape), np.int64)))
            end = node.integer("end", len(shape))
            return Const(np.array(shape[node.integer("start", 0) : end], np.int64))
        values = [g.values.get(name) for name in node.inputs if name]
        known = [v.data for v in values if isinstance(v, Const) and v.quant is None]
        if node.kind not in FOLDS or not known or len(known) < len(values) or "" in node.inputs:
            return None
        return Const(evaluate(lambda: FOLDS[node.kind](node, known)))
    except BadModel as error:
        if error.thing:
            raise
        raise node.fail(error.reason, error.way_out) from None


def _shape(g: OnnxGraph, node: Node) -> Shape | None:
    name = node.inputs[0] if node.inputs else ""
    if name in g.raw_inputs:
        return g.raw_inputs[name]
    if name not in g.values:
        return None
    value = g.values[name]
    return value.data.shape if isinstance(value, Const) else onnx_shape(g.shape(value))
