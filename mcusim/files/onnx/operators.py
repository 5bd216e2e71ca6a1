"""What each ONNX operator becomes. Rules get the graph and the node and return a value.

Operator definitions: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import inf

import numpy as np

from mcusim.files.names import NAMES
from mcusim.files.onnx import curves, moves, products, reductions, windows
from mcusim.files.onnx.graph import (
    NCHW,
    NHWC,
    Const,
    Int8Tensor,
    Moved,
    OnnxGraph,
    Pending,
    Real,
    Value,
    View,
    onnx_shape,
    stored_shape,
)  # fmt: skip
from mcusim.files.onnx.layout import concat, pad, reshape, softmax, transpose
from mcusim.files.onnx.proto import REALS, Node
from mcusim.files.onnx.qdq import dequantize, quantize
from mcusim.files.onnx.recurrent import GATES, recurrent
from mcusim.files.onnx.resize import resize
from mcusim.graph import TRAITS, WEIGHTED, Attributes, OpKind
from mcusim.graph.curves import CurveName
from mcusim.graph.traits import BINARY, CLAMPS, UNARY

Rule = Callable[[OnnxGraph, Node], Value]
INT32, INT64 = 6, 7  # of ONNX


def _gemm(g: OnnxGraph, node: Node) -> Value:
    x, w = g.value(node, 0), g.constant(node, 1)
    if w is None or w.data.ndim != 2 or len(g.shape(x)) not in (1, 2):
        raise node.fail("is no product of vectors with a constant matrix")
    if node.integer("transA", 0):
        x = g.move(node, OpKind.TRANSPOSE, x, suffix=".turned", axes=(1, 0))
    if not node.integer("transB", 0):
        w = w.transposed((1, 0))
    alpha, beta = (float(node.attributes.get(name, 1.0)) for name in ("alpha", "beta"))
    bias = g.constant(node, 2)
    if bias is not None and bias.quant is None:
        channels = w.data.shape[0]
        real = (
            bias.real if bias.data.size == channels else np.broadcast_to(bias.real.reshape(-1)[:1], channels)
        )
        if bias.data.size not in (1, channels):
            raise node.fail(f"has {channels} output channels and a bias of shape {bias.data.shape}")
        bias = Const(np.float32(beta) * real.reshape(channels))
    elif bias is not None and beta != 1:
        raise node.fail(f"takes {beta:g} of a bias in integers", "export it with beta = 1")
    if alpha > 0 and w.quant is not None:  # the same integers of other scales
        w = Const(w.data, replace(w.quant, scale=w.quant.scale * np.float32(alpha)))
    elif alpha != 1:
        w = Const(np.float32(alpha) * w.real)
    return g.pend(node, OpKind.FULLY_CONNECTED, [x, w, *([] if bias is None else [bias])])


def _matmul(g: OnnxGraph, node: Node) -> Value:
    x, w = g.value(node, 0), g.value(node, 1)
    if not (isinstance(w, Const) and w.data.ndim == 2) or isinstance(x, Const):
        return products.batch_matmul(g, node)
    w, shape = w.transposed((1, 0)), onnx_shape(g.shape(x))
    if len(shape) == 4:  # rows lie along ONNX's last dimension
        x = g.move(node, OpKind.TRANSPOSE, g.settled(x), suffix=".planes", axes=NCHW)
    found = g.pend(node, OpKind.FULLY_CONNECTED, [x, w], declared=(*shape[:-1], w.data.shape[0]))
    if len(shape) == 4:
        return replace(found, after=(Moved(OpKind.TRANSPOSE, stored_shape(found.shape), NHWC),))
    return found


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
    if isinstance(x, View):
        return windows.scaled(g, node, x, factor, beta - mean * factor)
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
    if not low <= high:
        raise node.fail(f"clamps to ({low:g}, {high:g}), which is empty")
    if (low, high) == (-inf, inf):
        return x
    before = g.undecided(x)
    if before is not None and before.kind in (*WEIGHTED, *BINARY):
        # The op before takes the clamp; other readers keep the op without it.
        first = before.attributes.clamp or (-inf, inf)
        low, high = (min(max(bound, first[0]), first[1]) for bound in (low, high))
        return replace(before, name=node.output, attributes=replace(before.attributes, clamp=(low, high)))
    kinds = {TRAITS[kind].activation: kind for kind in CLAMPS}
    if (low, high) in kinds:
        return g.pend(node, kinds[low, high], [x], clamp=(low, high))
    if isinstance(x, View) and -inf < low and high < inf:  # of integers, a table of them
        return curves.drawn(g, node, CurveName.CLIP, low, high)
    for kind, bound in ((OpKind.MAXIMUM, low), (OpKind.MINIMUM, high)):
        if bound not in (-inf, inf):
            last = kind is OpKind.MINIMUM or high == inf
            limit = Const(np.full((1,) * len(g.shape(x)), bound, np.float32))
            x = g.pend(node, kind, [x, limit], suffix="" if last else ".floor")
    return x


def _unary(kind: OpKind) -> Rule:
    def rule(g: OnnxGraph, node: Node) -> Value:
        return g.pend(node, kind, [g.value(node, 0)])

    return rule


def _binary(kind: OpKind) -> Rule:
    def rule(g: OnnxGraph, node: Node) -> Value:
        operands = [g.value(node, i) for i in range(2)]
        if kind is OpKind.ADD and (product := _with_bias(g, node, operands)) is not None:
            return product
        found = g.to_be_int8(operands[0]) if kind is OpKind.MUL and operands[0] is operands[1] else None
        if found is not None and found.kind is OpKind.SUB and not found.after:  # times itself
            return g.pend(node, OpKind.SQUARED_DIFFERENCE, list(found.operands))
        return _combined(g, node, kind, operands)

    return rule


def _joined(kind: OpKind) -> Rule:
    """Min, Max and Sum take any number of operands."""

    def rule(g: OnnxGraph, node: Node) -> Value:
        found = g.value(node, 0)
        for i in range(1, len(node.inputs)):
            suffix = "" if i == len(node.inputs) - 1 else f".{i}"
            found = _combined(g, node, kind, [found, g.value(node, i)], suffix)
        return found

    return rule


def _times(g: OnnxGraph, node: Node, x: Value, factor: float, suffix: str = "") -> Pending:
    return _combined(g, node, OpKind.MUL, [x, Const(np.full(1, factor, np.float32))], suffix)


def _negative(g: OnnxGraph, node: Node) -> Value:
    return _times(g, node, g.value(node, 0), -1)


def _swish(g: OnnxGraph, node: Node) -> Value:
    """X · sigmoid(alpha · x), in the operators that devices have."""
    x, alpha = g.value(node, 0), float(node.attributes.get("alpha", 1.0))
    wide = x if alpha == 1 else _times(g, node, x, alpha, ".wide")
    return _combined(g, node, OpKind.MUL, [x, g.pend(node, OpKind.LOGISTIC, [wide], suffix=".gate")])


def _reciprocal(g: OnnxGraph, node: Node) -> Value:
    root = g.to_be_int8(g.value(node, 0))
    if root is not None and root.kind is OpKind.SQRT and not root.after:
        return g.pend(node, OpKind.RSQRT, list(root.operands))
    return _combined(g, node, OpKind.DIV, [Const(np.ones(1, np.float32)), g.value(node, 0)])


def _mean(g: OnnxGraph, node: Node) -> Value:
    if len(node.inputs) < 2:
        return g.value(node, 0)
    return _times(g, node, _joined(OpKind.ADD)(g, node), 1 / len(node.inputs), ".mean")


def _power(g: OnnxGraph, node: Node) -> Value:
    """Pow by a constant that products and roots amount to."""
    x, exponent = g.value(node, 0), g.value(node, 1)
    powers = {*exponent.real.reshape(-1).tolist()} if isinstance(exponent, Const) else set()
    if len(powers) != 1:
        raise node.fail("has no constant exponent", "supported: 1, 2, 3, 0.5, -0.5 and -1")
    match powers.pop():
        case 1.0:
            return x
        case 2.0:
            return _combined(g, node, OpKind.MUL, [x, x])
        case 3.0:
            return _combined(g, node, OpKind.MUL, [x, _combined(g, node, OpKind.MUL, [x, x], ".square")])
        case 0.5:
            return g.pend(node, OpKind.SQRT, [x])
        case -0.5:
            return g.pend(node, OpKind.RSQRT, [x])
        case -1.0:
            return _reciprocal(g, node)
        case other:
            raise node.fail(f"has the exponent {other:g}", "supported: 1, 2, 3, 0.5, -0.5 and -1")


def _hard_sigmoid(g: OnnxGraph, node: Node) -> Value:
    alpha, beta = (float(node.attributes.get(name, given)) for name, given in (("alpha", 0.2), ("beta", 0.5)))
    if isinstance(g.value(node, 0), View):  # of integers, a table of them
        return curves.drawn(g, node, CurveName.HARD_SIGMOID, alpha, beta)
    scaled = _times(g, node, g.value(node, 0), alpha, ".scaled")
    moved = _combined(g, node, OpKind.ADD, [scaled, Const(np.full(1, beta, np.float32))])
    return replace(moved, attributes=replace(moved.attributes, clamp=(0.0, 1.0)))


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


def _dropout(g: OnnxGraph, node: Node) -> Value:
    training = g.constant(node, 2)
    if training is not None and training.data.any():
        raise node.fail("drops at random (training_mode)", "export the network for inference")
    return g.value(node, 0)


def _cast(g: OnnxGraph, node: Node) -> Value:
    x, kind = g.value(node, 0), node.integer("to", 0)
    if isinstance(x, Int8Tensor) and kind in (INT32, INT64):
        tensor = g.build[x.name]
        if tensor.dtype in ("int32", "int64"):  # what ArgMax gives, in another width
            g.build.tensors[x.name] = replace(tensor, dtype="int32" if kind == INT32 else "int64")
            return x
    if isinstance(x, Const | Int8Tensor) or kind not in REALS:
        raise node.fail(
            f"turns numbers into the ONNX element type {kind}", "supported: float32 of real numbers"
        )
    return x


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
    **dict.fromkeys(curves.NAMED, curves.curve),
    "Add": _binary(OpKind.ADD),
    "ArgMax": _arg_max,
    "AveragePool": windows.average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": concat,
    "Constant": _constant,
    "Conv": windows.conv,
    "ConvTranspose": products.conv_transpose,
    "DepthToSpace": moves.depth_to_space,
    "DequantizeLinear": dequantize,
    "Div": _binary(OpKind.DIV),
    "Dropout": _dropout,
    "Expand": moves.expand,
    "Flatten": reshape,
    "Gather": moves.gather,
    "Gemm": _gemm,
    "Gelu": curves.gelu,
    "GlobalAveragePool": partial(reductions.global_pool, OpKind.MEAN),
    "GlobalMaxPool": partial(reductions.global_pool, OpKind.REDUCE_MAX),
    "HardSigmoid": _hard_sigmoid,
    "Identity": _same,
    "InstanceNormalization": products.instance_normalization,
    "LayerNormalization": products.layer_normalization,
    "LeakyRelu": curves.leaky_relu,
    "LpNormalization": products.lp_normalization,
    "LogSoftmax": partial(softmax, kind=OpKind.LOG_SOFTMAX),
    "MatMul": _matmul,
    "Max": _joined(OpKind.MAXIMUM),
    "MaxPool": windows.max_pool,
    "Mean": _mean,
    "Min": _joined(OpKind.MINIMUM),
    "Mul": _binary(OpKind.MUL),
    "Neg": _negative,
    "PRelu": _binary(OpKind.PRELU),
    "Pad": pad,
    "Pow": _power,
    "QuantizeLinear": quantize,
    "Reciprocal": _reciprocal,
    "ReduceMax": partial(reductions.reduce, OpKind.REDUCE_MAX),
    "ReduceMean": partial(reductions.reduce, OpKind.MEAN),
    "ReduceMin": partial(reductions.reduce, OpKind.REDUCE_MIN),
    "ReduceSum": partial(reductions.reduce, OpKind.SUM),
    "Relu": _activation(0.0, inf),
    "Reshape": reshape,
    "Resize": resize,
    "Slice": moves.cut,
    "Softmax": softmax,
    "SpaceToDepth": moves.space_to_depth,
    "Squeeze": reshape,
    "Sub": _binary(OpKind.SUB),
    "Sum": _joined(OpKind.ADD),
    "Swish": _swish,
    "Tile": moves.tile,
    "Transpose": transpose,
    "Unsqueeze": reshape,
    "Upsample": resize,
}
"""By ONNX operator."""

SEVERAL: dict[str, Callable[[OnnxGraph, Node], list[Value]]] = {
    "Split": moves.split, **dict.fromkeys(GATES, recurrent),
}  # fmt: skip
"""By ONNX operator: those with any number of outputs."""
