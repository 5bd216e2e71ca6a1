"""TFLite operators whose outputs are known when the file is read: constants of constants, and shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from mcusim.files.tflite.flatbuffer import FlatTable
from mcusim.graph import Tensor

Array = NDArray[Any]
Options = FlatTable | None
Fold = Callable[[list[Array], Options, Tensor], Any]
"""Computes an output from the inputs' values, the options and the output as the file declares it."""


def _integer(options: Options, field: int) -> int:
    return 0 if options is None else options.integer(field, 4)


def _strided_slice(x: list[Array], options: Options, output: Tensor) -> Array:
    data, *bounds = x
    begin, end, strides = (integers(v) for v in bounds)
    begin_mask, end_mask, ellipsis, new_axis, shrink = (_integer(options, i) for i in range(5))
    if options is not None and options.boolean(5):  # the end is an offset from the start
        end = [b + e for b, e in zip(begin, end, strict=True)]
    index: list[Any] = []
    for i, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << i
        if ellipsis & bit:
            index.append(Ellipsis)
        elif new_axis & bit:
            index.append(None)
        elif shrink & bit:
            index.append(first)
        else:
            index.append(slice(None if begin_mask & bit else first, None if end_mask & bit else last, step))
    return np.asarray(data[tuple(index)])


def _slice(x: list[Array], options: Options, output: Tensor) -> Array:
    data, begin, size = x
    sides = zip(integers(begin), integers(size), strict=True)
    return np.asarray(data[tuple(slice(b, None if s == -1 else b + s) for b, s in sides)])


def _gather(x: list[Array], options: Options, output: Tensor) -> Array:
    if _integer(options, 1):
        raise ValueError("batch dimensions are not supported")
    integers(x[1])
    return take(x[0], x[1], _integer(options, 0))


def _squeeze(x: list[Array], options: Options, output: Tensor) -> Array:
    axes = () if options is None else tuple(int(a) for a in options.array(0, "<i4")[:8])
    return np.squeeze(x[0], axes or None)


def _reshape(x: list[Array], options: Options, output: Tensor) -> Array:
    if len(x) > 1:
        return x[0].reshape(integers(x[1]))
    return x[0].reshape(output.shape)


def _elementwise(function: Callable[..., Any]) -> Fold:
    return lambda x, options, output: elementwise(function, x)


def _reduction(function: Callable[..., Any]) -> Fold:
    def fold(x: list[Array], options: Options, output: Tensor) -> Any:
        keep = options is not None and options.boolean(0)
        return function(x[0], axis=tuple(integers(x[1])), keepdims=keep)

    return fold


MOVES: dict[str, Fold] = {
    "BROADCAST_TO": lambda x, o, y: np.broadcast_to(x[0], room(integers(x[1]))),
    "EXPAND_DIMS": lambda x, o, y: np.expand_dims(x[0], integers(x[1])[0]),
    "GATHER": _gather,
    "RESHAPE": _reshape,
    "SLICE": _slice,
    "SQUEEZE": _squeeze,
    "STRIDED_SLICE": _strided_slice,
    "TILE": lambda x, o, y: tile(x[0], x[1]),
    "TRANSPOSE": lambda x, o, y: x[0].transpose(integers(x[1])),
}
"""Elements of the first input elsewhere: quantised ones too, where the scale stays the same."""

FOLDS: dict[str, Fold] = {
    **MOVES,
    **{name: _elementwise(function) for (name, _), function in ELEMENTWISE.items()},
    **{name: _reduction(function) for (name, _), function in REDUCTIONS.items()},
    "BROADCAST_ARGS": lambda x, o, y: np.broadcast_shapes(*(room(integers(v)) for v in x)),
    "CAST": lambda x, o, y: x[0].astype(y.dtype),
    "CONCATENATION": lambda x, o, y: np.concatenate(x, _integer(o, 0)),
    "FILL": lambda x, o, y: np.full(room(integers(x[0])), x[1]),
    "FLOOR_DIV": _elementwise(np.floor_divide),
    "FLOOR_MOD": _elementwise(np.mod),
    "NOT_EQUAL": _elementwise(np.not_equal),
    "PACK": lambda x, o, y: np.stack(x, _integer(o, 1)),
    "RANGE": lambda x, o, y: arange(*x),
    "RSQRT": lambda x, o, y: np.float32(1) / np.sqrt(x[0]),
    "SELECT": _elementwise(np.where),
    "SQUARE": lambda x, o, y: np.square(x[0]),
    "ZEROS_LIKE": lambda x, o, y: np.zeros_like(x[0]),
}
"""By operator name."""

SHAPES: dict[str, Callable[[tuple[int, ...]], Any]] = {"SHAPE": lambda shape: shape, "RANK": len}
"""Operators that look at the shape of a tensor only, and what they make of it."""

_FUSED = {"ADD": 0, "SUB": 0, "MUL": 0, "DIV": 0, "CONCATENATION": 1}
"""Where an operator's options name a fused activation."""


def fold(name: str, inputs: list[Tensor], output: Tensor, options: Options) -> Tensor | None:
    """Return an operator's output as a constant; None if it is known only when the network runs.

    Args:
        name: of the operator, as in TFLite's schema.
        inputs: its inputs in order.
        output: its output as the file declares it; a list of sizes often has no shape there.
        options: its table of options.

    Raises:
        BadModel: without a thing, if its constants do not fit each other.
    """
    if name in SHAPES and len(inputs) == 1:
        return _constant(output, evaluate(lambda: np.array(SHAPES[name](inputs[0].shape), np.int64)))
    arrays = [np.asarray(tensor.data) for tensor in inputs if tensor.data is not None]
    if name == "DEQUANTIZE" and arrays:
        return _constant(output, evaluate(lambda: dequantised(inputs[0])))
    if name not in FOLDS or len(arrays) < len(inputs) or not inputs:
        return None
    if name in _FUSED and options is not None and options.integer(_FUSED[name], 1):
        return None
    if not _same_scale(name, inputs, output):
        return None
    return _constant(output, evaluate(lambda: FOLDS[name](arrays, options, output)))


def dequantised(tensor: Tensor) -> Array:
    """Return the real values of a constant in float32."""
    data, quant = np.asarray(tensor.data), tensor.quant
    if quant is None:
        return data.astype(np.float32)
    along = [-1 if i == quant.axis else 1 for i in range(data.ndim)] if quant.per_channel else [1]
    return ((data.astype(np.float32) - quant.zero_point) * quant.scale.reshape(along)).astype(np.float32)


def _same_scale(name: str, inputs: list[Tensor], output: Tensor) -> bool:
    """Return False where integers stand for reals and the operator would have to rescale them."""
    if all(t.quant is None or t.dtype == "float32" for t in (*inputs, output)):
        return True
    quant = inputs[0].quant
    if quant is None or quant.per_channel or not quant.same_as(output.quant):
        return False
    same = all(t.quant is not None and quant.same_as(t.quant) for t in inputs)
    return name in MOVES or (name in ("CONCATENATION", "PACK") and same)


def _constant(output: Tensor, data: Array) -> Tensor:
    data = np.array(data.astype(output.dtype), order="C", ndmin=data.ndim)
    data.flags.writeable = False
    return replace(output, shape=data.shape, data=data)
