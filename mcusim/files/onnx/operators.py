"""What each ONNX operator becomes. Rules get the graph and the node and return a value.

Operator definitions: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

import numpy as np

from mcusim.files.names import NAMES
from mcusim.files.onnx import moves, products
from mcusim.files.onnx.graph import (
    NHWC,
    Const,
    Int8Tensor,
    Moved,
    OnnxGraph,
    Pending,
    Real,
    Shape,
    Value,
    View,
    onnx_shape,
)  # fmt: skip
from mcusim.files.onnx.layout import concat, pad, reshape, softmax, transpose
from mcusim.files.onnx.proto import Node
from mcusim.files.onnx.qdq import dequantize, quantize
from mcusim.files.onnx.resize import resize
from mcusim.files.tflite.operators import same_padding
from mcusim.graph import TRAITS, WEIGHTED, Attributes, OpKind, Pads
from mcusim.graph.traits import BINARY, CLAMPS, UNARY

Rule = Callable[[OnnxGraph, Node], Value]


def _window(
    g: OnnxGraph, node: Node, shape: Shape, kernel: tuple[int, int], *, signal: bool = False
) -> dict[str, Any]:
    """Return stride, dilation and padding of a convolution or pooling over a stored shape."""
    one = (1,) if signal else (1, 1)
    stride, dilation = node.integers("strides", one), node.integers("dilations", one)
    pads = node.integers("pads", (0, 0) if signal else (0, 0, 0, 0))
    if signal and (len(stride), len(dilation), len(pads)) == (1, 1, 2):
        stride, dilation, pads = (1, *stride), (1, *dilation), (0, pads[0], 0, pads[1])
    if len(shape) != 4 or (len(stride), len(dilation), len(pads)) != (2, 2, 4) or min(*stride, *dilation) < 1:
        raise node.fail("works on something else than two dimensions of pixels")
    auto = node.attributes.get("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID", "SAME_UPPER") or node.attributes.get("ceil_mode"):
        raise node.fail(f"has auto_pad {auto} or ceil_mode")
    padding: Pads = ((pads[0], pads[2]), (pads[1], pads[3]))
    if auto == "SAME_UPPER":
        padding = same_padding(shape, kernel, (stride[0], stride[1]), (dilation[0], dilation[1]))
    return {"stride": stride, "dilation": dilation, "padding": padding}


def _bias_operands(g: OnnxGraph, node: Node, index: int, channels: int) -> list[Value]:
    bias = g.constant(node, index)
    if bias is None:
        return []
    if bias.data.size != channels:
        raise node.fail(f"has {channels} output channels and a bias of shape {bias.data.shape}")
    return [Const(bias.data.reshape(channels), bias.quant)]


def _conv(g: OnnxGraph, node: Node) -> Value:
    x, w = g.value(node, 0), g.constant(node, 1)
    shape = g.shape(x)
    signal = w is not None and w.data.ndim == len(shape) == 3
    if signal and w is not None:
        # A signal is a picture of one row, with channels last.
        row = (shape[0], 1, shape[2], shape[1])
        x = g.move(node, OpKind.TRANSPOSE, x, suffix=".last", axes=(0, 2, 1))
        x, shape = g.move(node, OpKind.RESHAPE, x, suffix=".row", shape=row), row
        w = Const(w.data[:, :, None], w.quant)
    if w is None or w.data.ndim != 4 or len(shape) != 4:
        raise node.fail("is no convolution over pixels or over a signal")
    count, depth, height, width = w.data.shape
    groups = node.integer("group", 1)
    depthwise = groups == shape[3] and depth == 1 and groups > 1
    if groups < 1 or depth * groups != shape[3] or count % groups:
        raise node.fail(f"has {groups} groups of {depth} channels for {shape[3]}")
    # OIHW to OHWI; depthwise (C, 1, kh, kw) to (1, kh, kw, C).
    operands = [x, w.transposed((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))]
    operands += _bias_operands(g, node, 2, count)
    kind = OpKind.DEPTHWISE_CONV_2D if depthwise else OpKind.CONV_2D
    if groups > 1 and not depthwise:
        kind = OpKind.GROUPED_CONV_2D
    found = g.pend(node, kind, operands, **_window(g, node, shape, (height, width), signal=signal))
    if not signal:
        return found
    batch, _, length, channels = found.shape
    back = Moved(OpKind.RESHAPE, (batch, length, channels))
    return replace(found, after=(back, Moved(OpKind.TRANSPOSE, (batch, channels, length), (0, 2, 1))))


def _gemm(g: OnnxGraph, node: Node) -> Value:
    x, second = g.value(node, 0), g.value(node, 1)
    if node.kind == "MatMul" and not (isinstance(second, Const) and second.data.ndim == 2):
        return products.batch_matmul(g, node)
    w, ranks = g.constant(node, 1), (1, 2, 3) if node.kind == "MatMul" else (1, 2)
    plain = (node.attributes.get("alpha", 1.0), node.attributes.get("beta", 1.0), node.integer("transA", 0))
    if w is None or w.data.ndim != 2 or len(g.shape(x)) not in ranks or plain != (1.0, 1.0, 0):
        raise node.fail("is no plain product of vectors with a constant matrix")
    if not node.integer("transB", 0):
        w = w.transposed((1, 0))
    operands = [x, w, *_bias_operands(g, node, 2, w.data.shape[0])]
    return g.pend(node, OpKind.FULLY_CONNECTED, operands, declared=(*g.shape(x)[:-1], w.data.shape[0]))


def _batch_norm(g: OnnxGraph, node: Node) -> Value:
    x = g.value(node, 0)
    parts = [g.constant(node, i) for i in range(1, 5)]
    epsilon = node.attributes.get("epsilon", 1e-5)
    if any(p is None for p in parts) or node.integer("training_mode", 0) or not isinstance(epsilon, float):
        raise node.fail("is in training mode or lacks a constant")
    if node.integer("spatial", 1) != 1:
        raise node.fail("normalises every pixel by itself (spatial = 0)", "export it with opset 9 or later")
    gamma, beta, mean, variance = (p.real.astype(np.float64) for p in parts if p is not None)
    shape = onnx_shape(g.shape(x))
    if len(shape) < 2 or {v.shape for v in (gamma, beta, mean, variance)} != {(shape[1],)}:
        raise node.fail(f"normalises {shape} with other than {shape[1:2]} channels")
    factor = gamma / np.sqrt(variance + epsilon)
    # Channels are dimension 1; only images are stored with them last.
    along = (-1,) if len(shape) == 4 else (-1, *(1,) * (len(shape) - 2))
    slope, offset = (Const(v.astype(np.float32).reshape(along)) for v in (factor, beta - mean * factor))
    scaled = g.pend(node, OpKind.MUL, [x, slope], suffix=".scaled")
    return g.pend(node, OpKind.ADD, [scaled, offset])


def _activation(low: float, high: float) -> Rule:
    def rule(g: OnnxGraph, node: Node) -> Value:
        return _clamp(g, node, low, high)

    return rule


def _clip(g: OnnxGraph, node: Node) -> Value:
    bounds = []
    for i, name in enumerate(("min", "max")):
        given = g.constant(node, 1 + i)
        value = node.attributes.get(name) if given is None else float(given.real.reshape(-1)[0])
        bounds.append((-inf, inf)[i] if value is None else float(value))
    return _clamp(g, node, *bounds)


def _clamp(g: OnnxGraph, node: Node, low: float, high: float) -> Value:
    x = g.value(node, 0)
    fused = (*WEIGHTED, *BINARY)
    before = g.undecided(x)
    if before is not None and before.kind in fused and before.attributes.clamp is None:
        # The op before takes the clamp; other readers keep the op without it.
        return replace(before, name=node.output, attributes=replace(before.attributes, clamp=(low, high)))
    kinds = {TRAITS[kind].activation: kind for kind in CLAMPS}
    if (low, high) not in kinds:
        known = ", ".join(f"({a:g}, {b:g})" for a, b in filter(None, kinds))
        raise node.fail(f"clamps to ({low:g}, {high:g})", f"supported there: {known}")
    return g.pend(node, kinds[low, high], [x], clamp=(low, high))


def _unary(kind: OpKind) -> Rule:
    def rule(g: OnnxGraph, node: Node) -> Value:
        return g.pend(node, kind, [g.value(node, 0)])

    return rule


def _elu(g: OnnxGraph, node: Node) -> Value:
    if node.attributes.get("alpha", 1.0) != 1.0:
        raise node.fail(f"has alpha {node.attributes['alpha']:g}", "supported: 1")
    return g.pend(node, OpKind.ELU, [g.value(node, 0)])


def _gelu(g: OnnxGraph, node: Node) -> Value:
    approximate = node.attributes.get("approximate", "none") == "tanh"
    return g.pend(node, OpKind.GELU, [g.value(node, 0)], approximate=approximate)


def _leaky_relu(g: OnnxGraph, node: Node) -> Value:
    alpha = float(node.attributes.get("alpha", 0.01))
    return g.pend(node, OpKind.LEAKY_RELU, [g.value(node, 0)], alpha=alpha)


def _binary(kind: OpKind) -> Rule:
    def rule(g: OnnxGraph, node: Node) -> Value:
        operands = [g.value(node, i) for i in range(2)]
        if kind is OpKind.ADD and (product := _with_bias(g, node, operands)) is not None:
            return product
        return _combined(g, node, kind, operands)

    return rule


def _extreme(kind: OpKind) -> Rule:
    """Min and Max take any number of operands."""

    def rule(g: OnnxGraph, node: Node) -> Value:
        found = g.value(node, 0)
        for i in range(1, len(node.inputs)):
            suffix = "" if i == len(node.inputs) - 1 else f".{i}"
            found = _combined(g, node, kind, [found, g.value(node, i)], suffix)
        return found

    return rule


def _combined(g: OnnxGraph, node: Node, kind: OpKind, operands: list[Value], suffix: str = "") -> Pending:
    """Return an op on two operands, of which the smaller is broadcast."""
    rank = max(len(g.shape(v)) for v in operands)
    for i, value in enumerate(operands):
        if rank == 4 and len(g.shape(value)) not in (0, 4) and not isinstance(value, Const):
            raise node.fail(
                f"joins shapes {onnx_shape(g.shape(operands[0]))} and {onnx_shape(g.shape(operands[1]))}",
                "reshape the smaller one to four dimensions before",
            )
        if isinstance(value, Const) and rank == 4:
            data = value.data.reshape((1,) * (4 - value.data.ndim) + value.data.shape)
            quant = value.quant
            if quant is not None and quant.axis is not None:
                raise node.fail("adds or multiplies by a constant with a scale a channel")
            operands[i] = Const(data, quant).transposed(NHWC)
    return g.pend(node, kind, operands, suffix=suffix)


def _with_bias(g: OnnxGraph, node: Node, operands: list[Value]) -> Pending | None:
    """Return the product of an undecided MatMul with the constant that is added to it as its bias."""
    for value, other in (operands, operands[::-1]):
        before = g.undecided(value)
        if (
            before is not None
            and isinstance(other, Const)
            and before.kind is OpKind.FULLY_CONNECTED
            and (len(before.operands), before.attributes.clamp) == (2, None)
            and other.data.size == before.shape[-1]
        ):
            bias = Const(other.data.reshape(-1), other.quant)
            return replace(before, name=node.output, operands=(*before.operands, bias))
    return None


def _global_pool(kind: OpKind) -> Rule:
    def rule(g: OnnxGraph, node: Node) -> Value:
        x = g.value(node, 0)
        n, _, _, c = g.shape(x) if len(g.shape(x)) == 4 else (0, 0, 0, 0)
        return _reduction(g, node, kind, x, axes=(1, 2), declared=(n, 1, 1, c))

    return rule


def _reduction(g: OnnxGraph, node: Node, kind: OpKind, x: Value, **attributes: Any) -> Value:
    """What chooses one of its input's numbers keeps their scale."""
    if TRAITS[kind].scale == "input":
        return g.move(node, kind, x, **attributes)
    return g.pend(node, kind, [x], **attributes)


def _reduce(kind: OpKind) -> Rule:
    return lambda g, node: _reduced(kind, g, node)


def _reduced(kind: OpKind, g: OnnxGraph, node: Node) -> Value:
    x, given = g.value(node, 0), g.constant(node, 1)
    shape = onnx_shape(g.shape(x))
    axes = node.integers("axes", ()) if given is None else tuple(int(a) for a in given.data.reshape(-1)[:8])
    if not axes:
        raise node.fail(f"reduces all dimensions of {shape}", "name the dimensions to reduce")
    chosen = {*node.axes(axes, len(shape))}
    kept = tuple(1 if i in chosen else s for i, s in enumerate(shape))
    keep = node.integer("keepdims", 1)
    if not keep and len(shape) == 4 and chosen != {2, 3}:
        raise node.fail(f"drops dimensions {sorted(chosen)}", "supported: (2, 3), or keepdims")
    places = tuple(sorted(NHWC.index(a) for a in chosen)) if len(shape) == 4 else tuple(sorted(chosen))
    dropped = tuple(s for i, s in enumerate(shape) if i not in chosen)
    stored = tuple(kept[i] for i in NHWC) if len(shape) == 4 else kept
    return _reduction(g, node, kind, x, axes=places, declared=stored if keep else dropped)


def _pool(kind: OpKind) -> Rule:
    def rule(g: OnnxGraph, node: Node) -> Value:
        x = g.value(node, 0)
        kernel = node.integers("kernel_shape", ())
        if len(kernel) != 2 or min(kernel) < 1:
            raise node.fail("pools something else than two dimensions of pixels")
        window = _window(g, node, g.shape(x), (kernel[0], kernel[1]))
        if window["dilation"] != (1, 1):
            raise node.fail("is a dilated pooling")
        counts = node.integer("count_include_pad", 0) and window["padding"] != ((0, 0), (0, 0))
        if kind is OpKind.AVERAGE_POOL_2D and counts:
            raise node.fail("counts its padding")
        return g.move(node, kind, x, kernel=kernel, **window)

    return rule


def _arg_max(g: OnnxGraph, node: Node) -> Value:
    x = g.settled(g.value(node, 0))
    rank, axis = len(g.shape(x)), node.integer("axis", 0)
    if (
        rank == 4
        or axis not in (-1, rank - 1)
        or node.integer("keepdims", 1)
        or node.integer("select_last_index", 0)
        or not isinstance(x, View | Real)
    ):
        raise node.fail(
            f"along dimension {axis} of {rank}", "supported: the last of a list of vectors, dropped"
        )
    name = g.free(node.output)
    g.build.activation(name, g.shape(x)[:-1], None, "int64")
    g.build.op(name, OpKind.ARG_MAX, (x.name,), name, Attributes(axes=(rank - 1,), clamp=None))
    return Int8Tensor(name)


def _same(g: OnnxGraph, node: Node) -> Value:
    return g.value(node, 0)


def _constant(g: OnnxGraph, node: Node) -> Value:
    value = node.attributes.get("value")
    if value is None:
        listed = [
            v
            for k, v in node.attributes.items()
            if k in ("value_float", "value_int", "value_floats", "value_ints")
        ]
        if not listed or listed[0] is None:
            raise node.fail("holds no array of numbers")
        kind = np.float32 if "float" in next(iter(node.attributes)) else np.int64
        value = np.array(listed[0], kind)
    return Const(value)


RULES: dict[str, Rule] = {
    **{name: _unary(kind) for kind in UNARY if kind not in CLAMPS for name in NAMES[kind].onnx},
    "Add": _binary(OpKind.ADD),
    "ArgMax": _arg_max,
    "AveragePool": _pool(OpKind.AVERAGE_POOL_2D),
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": concat,
    "Constant": _constant,
    "Conv": _conv,
    "ConvTranspose": products.conv_transpose,
    "DepthToSpace": moves.depth_to_space,
    "DequantizeLinear": dequantize,
    "Div": _binary(OpKind.DIV),
    "Dropout": _same,
    "Elu": _elu,
    "Expand": moves.expand,
    "Flatten": reshape,
    "Gather": moves.gather,
    "Gemm": _gemm,
    "Gelu": _gelu,
    "GlobalAveragePool": _global_pool(OpKind.MEAN),
    "GlobalMaxPool": _global_pool(OpKind.REDUCE_MAX),
    "Identity": _same,
    "LayerNormalization": products.layer_normalization,
    "LeakyRelu": _leaky_relu,
    "LogSoftmax": partial(softmax, kind=OpKind.LOG_SOFTMAX),
    "MatMul": _gemm,
    "Max": _extreme(OpKind.MAXIMUM),
    "MaxPool": _pool(OpKind.MAX_POOL_2D),
    "Min": _extreme(OpKind.MINIMUM),
    "Mul": _binary(OpKind.MUL),
    "PRelu": _binary(OpKind.PRELU),
    "Pad": pad,
    "QuantizeLinear": quantize,
    "ReduceMax": _reduce(OpKind.REDUCE_MAX),
    "ReduceMean": _reduce(OpKind.MEAN),
    "ReduceMin": _reduce(OpKind.REDUCE_MIN),
    "ReduceSum": _reduce(OpKind.SUM),
    "Relu": _activation(0.0, inf),
    "Reshape": reshape,
    "Resize": resize,
    "Slice": moves.cut,
    "Softmax": softmax,
    "SpaceToDepth": moves.space_to_depth,
    "Squeeze": reshape,
    "Sub": _binary(OpKind.SUB),
    "Tile": moves.tile,
    "Transpose": transpose,
    "Unsqueeze": reshape,
}
"""By ONNX operator."""

SEVERAL: dict[str, Callable[[OnnxGraph, Node], list[Value]]] = {"Split": moves.split}
"""By ONNX operator: those with any number of outputs."""
