"""Networks of a single operator, with each edge of its attributes: alone, and between layers that learn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from mcusim.graph import LIMITS, TRAITS, Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.curves import CurveName
from mcusim.graph.shapes import infer
from mcusim.graph.traits import CONVOLUTIONS, FILTERS, UNARY
from mcusim.graph.validate import validate

K = OpKind
IMAGE = (1, 4, 6, 8)
SOME = Quant.of(0.05, -7)
POSITIVE = Quant.of(0.05, -128)
FROM_ZERO = (K.SQRT, K.RSQRT, K.LOG, K.DIV)
"""Of what is positive only."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One form of an operator: its attributes, and its other operand or its weight."""

    name: str
    attributes: dict[str, Any] = field(default_factory=dict)
    other: tuple[int, ...] = ()
    """Shape of a constant operand; empty for none, or, of ops with two inputs, for the input again."""
    shape: tuple[int, ...] = IMAGE
    """Shape of its input."""


def _windows(width: int) -> list[Edge]:
    return [
        Edge("1x1", {}, (width, 1, 1, 8)),
        Edge("3x3 padded", {"padding": ((1, 1), (1, 1))}, (width, 3, 3, 8)),
        Edge(
            "stride 2, padded at the end", {"stride": (2, 2), "padding": ((0, 1), (0, 1))}, (width, 3, 3, 8)
        ),
        Edge("dilated", {"dilation": (1, 2), "padding": ((1, 1), (2, 2))}, (width, 3, 3, 8)),
    ]


_PAIRED = [
    Edge("itself"), Edge("a number a channel", {}, (1, 1, 1, 8)), Edge("one number", {}, (1, 1, 1, 1)),
    Edge("a constant of its shape", {}, IMAGE),
]  # fmt: skip
_POOLED = [
    Edge("2x2", {"kernel": (2, 2), "stride": (2, 2)}),
    Edge("3x3 padded", {"kernel": (3, 3), "stride": (1, 1), "padding": ((1, 1), (1, 1))}),
]
_REDUCED = [Edge("pixels", {"axes": (1, 2)}), Edge("channels", {"axes": (3,)}), Edge("rows", {"axes": (1,)})]
_SHARED = [Edge("pixels by pixels", {"axes": (3,)}), Edge("a vector", {"axes": (1,)}, shape=(1, 16))]
_SIZES = {"shape": (1, 8, 12, 8)}
_AROUND = {"pads": ((0, 0), (1, 2), (0, 1), (0, 0))}
PARAMETERS: dict[CurveName, tuple[float, float]] = {
    CurveName.SELU: (0.8, 1.1), CurveName.CELU: (0.8, 1.0), CurveName.ELU: (0.8, 1.0),
    CurveName.THRESHOLD: (0.8, 0.0), CurveName.SHRINK: (0.8, 0.3), CurveName.HARD_SIGMOID: (0.4, 0.3),
    CurveName.CLIP: (-0.8, 0.9),
}  # fmt: skip
"""alpha and beta of curves that have some, as exporters write them."""
EDGES: dict[OpKind, list[Edge]] = {
    K.CONV_2D: _windows(5),
    K.DEPTHWISE_CONV_2D: [
        Edge("3x3 padded", {"padding": ((1, 1), (1, 1))}, (1, 3, 3, 8)),
        Edge("two a channel", {}, (1, 2, 2, 16)),
        Edge("stride 2", {"stride": (2, 2)}, (1, 3, 3, 8)),
    ],
    K.FULLY_CONNECTED: [Edge("a vector", {}, (5, 16), (1, 16))],
    K.GROUPED_CONV_2D: [
        Edge("two groups", {"padding": ((1, 1), (1, 1))}, (6, 3, 3, 4)),
        Edge("four groups", {}, (8, 1, 1, 2)),
    ],
    K.TRANSPOSE_CONV: [
        Edge("twice as large", {"stride": (2, 2), "shape": (1, 8, 12, 5)}, (5, 2, 2, 8)),
        Edge("overlapping", {"stride": (2, 2), "shape": (1, 9, 13, 5)}, (5, 3, 3, 8)),
    ],
    K.BATCH_MATMUL: [
        Edge("itself turned", {"adjoint": (False, True)}), Edge("turned itself", {"adjoint": (True, False)}),
    ],
    **dict.fromkeys((K.ADD, K.SUB, K.MUL, K.MINIMUM, K.MAXIMUM, K.SQUARED_DIFFERENCE, K.DIV), _PAIRED),
    K.PRELU: [Edge("a slope a channel", {}, (1, 1, 8))],
    K.PAD: [Edge("zeros", _AROUND), Edge("a number", {**_AROUND, "fill": -9})],
    K.MIRROR_PAD: [Edge("without the edge", _AROUND), Edge("with the edge", {**_AROUND, "symmetric": True})],
    **dict.fromkeys((K.MEAN, K.SUM, K.REDUCE_MAX, K.REDUCE_MIN), _REDUCED),
    K.AVERAGE_POOL_2D: _POOLED,
    K.MAX_POOL_2D: _POOLED,
    K.RESHAPE: [Edge("flat", {"shape": (1, 192)}), Edge("an image", {"shape": (1, 6, 4, 8)})],
    K.CONCATENATION: [Edge("itself, channels", {"axes": (3,)}), Edge("itself, rows", {"axes": (1,)})],
    K.TRANSPOSE: [Edge("pixels", {"axes": (0, 2, 1, 3)}), Edge("channels first", {"axes": (0, 3, 1, 2)})],
    K.STRIDED_SLICE: [
        Edge("every second", {"axes": (2,), "begin": (1,), "step": (2,), "shape": (2,)}),
        Edge("backwards", {"axes": (3,), "begin": (7,), "step": (-1,), "shape": (8,)}),
    ],
    K.TILE: [Edge("twice", {"repeats": (1, 2, 1, 1)})],
    K.GATHER: [Edge("channels", {"axes": (3,), "indices": (3, 3, 0, 7)})],
    K.REVERSE: [Edge("pixels", {"axes": (1, 2)})],
    K.DEPTH_TO_SPACE: [Edge("block 2", {"block": 2})],
    K.SPACE_TO_DEPTH: [Edge("block 2", {"block": 2})],
    **{kind: [Edge("image"), Edge("vector", shape=(1, 16))] for kind in UNARY},
    K.LEAKY_RELU: [Edge("slope 0.1", {"alpha": 0.1}), Edge("slope 1.5", {"alpha": 1.5})],
    K.CURVE: [
        Edge(curve, {"curve": curve, "alpha": alpha, "beta": beta})
        for curve in CurveName
        for alpha, beta in [PARAMETERS.get(curve, (1.0, 1.0))]
    ],
    K.GELU: [Edge("exact"), Edge("approximate", {"approximate": True})],
    **dict.fromkeys((K.SOFTMAX, K.LOG_SOFTMAX, K.L2_NORMALIZATION), _SHARED),
    K.RESIZE_NEAREST_NEIGHBOR: [Edge("twice", _SIZES), Edge("corners", {**_SIZES, "align_corners": True})],
    K.RESIZE_BILINEAR: [
        Edge("twice", _SIZES), Edge("half pixels", {**_SIZES, "half_pixel_centers": True}),
        Edge("corners", {**_SIZES, "align_corners": True}),
    ],
    K.QUANTIZE: [Edge("another scale"), Edge("of real numbers")],
    K.DEQUANTIZE: [Edge("image"), Edge("vector", shape=(1, 16))],
    K.ARG_MAX: [Edge("a vector", {"axes": (1,)}, shape=(1, 16))],
}  # fmt: skip
REALS = (K.DEQUANTIZE, K.ARG_MAX)
"""What gives no int8, so that no layer behind it learns."""


def alone(kind: OpKind, edge: Edge) -> Model:
    """Return the operator with nothing before or behind it."""
    tensors: dict[str, Tensor] = {}
    real = kind is K.QUANTIZE and edge.name == "of real numbers"
    quant = POSITIVE if kind in FROM_ZERO else SOME
    tensors["x"] = Tensor("x", edge.shape, "float32" if real else "int8", None if real else quant)
    op = _op(kind, edge, "x", tensors)
    return validate(Model(f"{kind}, {edge.name}", (op,), tensors, ("x",), ("y",)))


def between(kind: OpKind, edge: Edge) -> Model | None:
    """Return the operator between a layer that learns and a classifier; None where there is no such place."""
    if kind in REALS or edge.name == "of real numbers":
        return None
    tensors: dict[str, Tensor] = {"input": Tensor("input", edge.shape, "int8", Quant.of(0.04, 3))}
    rng = np.random.default_rng(1)
    depth, rank = edge.shape[-1], len(edge.shape)
    first = K.CONV_2D if rank == 4 else K.FULLY_CONNECTED
    ones = (1, 1) if rank == 4 else ()
    _weight("first", (depth, *ones, depth), tensors, rng)
    tensors["x"] = Tensor("x", edge.shape, "int8", POSITIVE if kind in FROM_ZERO else SOME)
    ops = [Op("first", first, ("input", "first.w", "first.b"), "x", Attributes())]
    ops.append(_op(kind, edge, "x", tensors))
    flat = (1, prod(tensors["y"].shape))
    tensors["flat"] = Tensor("flat", flat, "int8", tensors["y"].quant)
    ops.append(Op("flatten", K.RESHAPE, ("y",), "flat", Attributes(shape=flat)))
    _weight("head", (3, flat[1]), tensors, rng)
    tensors["logits"] = Tensor("logits", (1, 3), "int8", Quant.of(0.1, 0))
    ops.append(Op("head", K.FULLY_CONNECTED, ("flat", "head.w", "head.b"), "logits", Attributes()))
    name = f"{kind}, {edge.name}"
    return validate(Model(name, tuple(ops), tensors, ("input",), ("logits",), head="head"))


def _weight(name: str, shape: tuple[int, ...], tensors: dict[str, Tensor], rng: np.random.Generator) -> None:
    along = 3 if shape[0] == 1 and len(shape) == 4 else 0
    channels = shape[along]
    scales = rng.uniform(0.004, 0.01, channels).astype(np.float32)
    weight = rng.integers(-100, 101, shape, dtype=np.int8)
    tensors[f"{name}.w"] = Tensor(f"{name}.w", shape, "int8", Quant(scales, 0, along), weight)
    bias = rng.integers(-500, 500, channels, dtype=np.int32)
    tensors[f"{name}.b"] = Tensor(f"{name}.b", (channels,), "int32", None, bias)


def _op(kind: OpKind, edge: Edge, x: str, tensors: dict[str, Tensor]) -> Op:
    """Add the operator's constants and output, called y, to the tensors."""
    rng, quant, scale = np.random.default_rng(0), tensors[x].quant, TRAITS[kind].scale
    inputs: tuple[str, ...] = (x,)
    if kind in (*CONVOLUTIONS, *FILTERS, K.FULLY_CONNECTED):
        _weight("op", edge.other, tensors, rng)
        inputs = (x, "op.w", "op.b")
    elif edge.other:
        low = 20 if kind is K.DIV else -128
        values = rng.integers(low, 128, edge.other, dtype=np.int8)
        other = quant if scale == "input" else Quant.of(0.03, -128 if kind is K.DIV else 4)
        tensors["other"] = Tensor("other", edge.other, "int8", other, values)
        inputs = (x, "other")
    elif TRAITS[kind].inputs[0] == 2 or kind is K.CONCATENATION:
        inputs = (x, x)
    dtype = {K.DEQUANTIZE: "float32", K.ARG_MAX: "int32"}.get(kind, "int8")
    if isinstance(scale, Quant):
        given: Quant | None = scale
    elif scale in ("input", "any") or kind is K.CONCATENATION:
        given = quant
    else:
        given = Quant.of(0.07, -20)
    attributes = dict(edge.attributes)
    if dtype != "int8":
        given, attributes["clamp"] = None, None
    op = Op("op", kind, inputs, "y", Attributes(**attributes))
    tensors["y"] = Tensor("y", (), dtype, given)
    tensors["y"] = Tensor("y", infer(op, tensors), dtype, given)
    return op


def in_16_bits(model: Model) -> Model:
    """Return a network with 16-bit activations: finer scales, int64 biases, the same weights."""
    weights = {n for op in model.ops if op.traits.weighted for n in op.inputs[1:]}
    curves = {op.output for op in model.ops if op.kind in (K.LOGISTIC, K.TANH, K.SOFTMAX)}
    tensors = {}
    for name, tensor in model.tensors.items():
        if name in weights and tensor.dtype == "int32":
            tensors[name] = replace(tensor, dtype="int64", data=50 * np.asarray(tensor.data, np.int64))
        elif name in weights:
            tensors[name] = tensor
        elif tensor.dtype == "int8" and tensor.quant is not None:
            quant = Quant.of(2.0**-15 if name in curves else float(tensor.quant.scale[0]) / 100)
            data = None if tensor.data is None else 200 * tensor.data.astype(np.int16)
            tensors[name] = replace(tensor, dtype="int16", quant=quant, data=data)
        else:
            tensors[name] = tensor
    ops = (
        replace(op, attributes=replace(op.attributes, clamp=LIMITS["int16"]))
        if tensors[op.output].dtype == "int16"
        else op
        for op in model.ops
    )
    return validate(replace(model, ops=tuple(ops), tensors=tensors))


def side_by_side(kinds: Iterable[OpKind]) -> Model:
    """Return a layer that learns, operators that all read it, and a classifier of all that they give."""
    found = {kind: between(kind, EDGES[kind][0]) for kind in kinds if EDGES[kind][0].shape == IMAGE}
    parts = {str(kind): model for kind, model in found.items() if model is not None}
    first = next(iter(parts.values()))
    tensors = {name: first.tensors[name] for name in ("input", "first.w", "first.b", "x")}
    ops, flat = [first.ops[0]], []
    for prefix, model in parts.items():
        op = model.ops[1]
        names = {n: "x" if n == "x" else f"{prefix}.{n}" for n in (*op.inputs, op.output)}
        tensors |= {new: replace(model.tensors[old], name=new) for old, new in names.items() if new != "x"}
        if op.traits.weighted:  # scales of its own, which no other layer shares
            weight = tensors[names[op.inputs[1]]]
            scale = weight.quant.scale * np.float32(1.7 ** (len(ops) // 3))
            tensors[weight.name] = replace(weight, quant=replace(weight.quant, scale=scale))
        y = f"{prefix}.y"
        ops.append(replace(op, name=prefix, inputs=tuple(names[n] for n in op.inputs), output=y))
        alike, row = f"{prefix}.alike", f"{prefix}.flat"
        tensors[alike] = Tensor(alike, tensors[y].shape, "int8", SOME)
        tensors[row] = Tensor(row, (1, tensors[y].elements), "int8", SOME)
        ops.append(Op(f"{prefix}_alike", K.QUANTIZE, (y,), alike, Attributes()))
        ops.append(Op(f"{prefix}_flat", K.RESHAPE, (alike,), row, Attributes(shape=tensors[row].shape)))
        flat.append(row)
    count = sum(tensors[n].elements for n in flat)
    tensors["all"] = Tensor("all", (1, count), "int8", SOME)
    ops.append(Op("join", K.CONCATENATION, tuple(flat), "all", Attributes(axes=(1,))))
    tensors["real"] = Tensor("real", (1, count), "float32")
    ops.append(Op("real", K.DEQUANTIZE, ("all",), "real", Attributes(clamp=None)))
    weight = np.random.default_rng(2).uniform(-0.02, 0.02, (3, count)).astype(np.float32)
    tensors["head.w"] = Tensor("head.w", weight.shape, "float32", None, weight)
    tensors["logits"] = Tensor("logits", (1, 3), "float32")
    ops.append(Op("head", K.FULLY_CONNECTED, ("real", "head.w"), "logits", Attributes(clamp=None)))
    return validate(Model("beside", tuple(ops), tensors, ("input",), ("logits",), head="head"))


def curves_in_16_bits() -> Model:
    """Return functions of one int16, and softmax, of an input that has room for every int16, and a head."""
    image, units = (1, 256, 256), Quant.of(2.0**-15)
    tensors = {"x": Tensor("x", image, "int16", Quant.of(0.0003))}
    ops: list[Op] = []

    def add(name: str, kind: OpKind, inputs: tuple[str, ...], y: Tensor, **attributes: Any) -> str:
        clamp = None if y.dtype == "float32" else LIMITS["int16"]
        tensors[name] = replace(y, name=name)
        ops.append(Op(f"{name}_op", kind, inputs, name, Attributes(clamp=clamp, **attributes)))
        return name

    tops = []
    for kind in (K.LOGISTIC, K.TANH, K.SOFTMAX, K.LEAKY_RELU, K.ABS, K.RELU):
        quant = units if kind in (K.LOGISTIC, K.TANH, K.SOFTMAX) else Quant.of(0.0004)
        y = add(str(kind), kind, ("x",), Tensor("", image, "int16", quant), alpha=0.3)
        top = add(f"{y}_top", K.REDUCE_MIN, (y,), Tensor("", (1, 256), "int16", quant), axes=(1,))
        tops.append(add(f"{y}_alike", K.QUANTIZE, (top,), Tensor("", (1, 256), "int16", units)))
    shape = (1, 256 * len(tops))
    joined = add("joined", K.CONCATENATION, tuple(tops), Tensor("", shape, "int16", units), axes=(1,))
    real = add("real", K.DEQUANTIZE, (joined,), Tensor("", shape, "float32"))
    weight = np.random.default_rng(2).uniform(-0.1, 0.1, (3, shape[1])).astype(np.float32)
    tensors["w"] = Tensor("w", weight.shape, "float32", None, weight)
    add("logits", K.FULLY_CONNECTED, (real, "w"), Tensor("", (1, 3), "float32"))
    return validate(Model("curves", tuple(ops), tensors, ("x",), ("logits",), head="logits_op"))
