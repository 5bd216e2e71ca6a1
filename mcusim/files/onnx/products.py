"""ONNX operators that multiply matrices, spread windows or normalise rows.

Operator definitions: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcusim.files.onnx.graph import NCHW, NHWC, Const, OnnxGraph, Value, onnx_shape
from mcusim.files.onnx.proto import Node
from mcusim.graph import OpKind


def batch_matmul(g: OnnxGraph, node: Node) -> Value:
    """MatMul of what is computed: matrices lie in ONNX's last two dimensions, which images have elsewhere."""
    operands = []
    for i in range(2):
        x = g.settled(g.value(node, i))
        if not isinstance(x, Const) and len(g.shape(x)) == 4:
            x = g.move(node, OpKind.TRANSPOSE, x, suffix=f".planes{i}", axes=NCHW)
        operands.append(x)
    product = g.pend(node, OpKind.BATCH_MATMUL, operands)
    if len(product.shape) != 4:
        return product
    return g.move(node, OpKind.TRANSPOSE, product, suffix=".image", axes=NHWC)


def conv_transpose(g: OnnxGraph, node: Node) -> Value:
    """ConvTranspose over two dimensions, in one group."""
    x, w = g.value(node, 0), g.constant(node, 1)
    shape = g.shape(x)
    if w is None or w.data.ndim != 4 or len(shape) != 4 or node.integer("group", 1) != 1:
        raise node.fail("is no transposed convolution of pixels in one group")
    stride, dilation = node.integers("strides", (1, 1)), node.integers("dilations", (1, 1))
    pads, more = node.integers("pads", (0, 0, 0, 0)), node.integers("output_padding", (0, 0))
    auto = node.attributes.get("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID") or dilation != (1, 1) or "output_shape" in node.attributes:
        raise node.fail(
            f"has auto_pad {auto}, dilations {dilation} or an output_shape", "export it with pads"
        )
    if (len(stride), len(pads), len(more)) != (2, 4, 2):
        raise node.fail("works on something else than two dimensions of pixels")
    sides = [
        (shape[1 + i] - 1) * stride[i] + w.data.shape[2 + i] - pads[i] - pads[2 + i] + more[i]
        for i in range(2)
    ]
    bias = g.constant(node, 2)
    operands: list[Value] = [x, w.transposed((1, 2, 3, 0))]
    operands += [] if bias is None else [Const(bias.data.reshape(-1), bias.quant)]
    return g.pend(
        node, OpKind.TRANSPOSE_CONV, operands, stride=stride, shape=(shape[0], *sides, w.data.shape[1]),
        padding=((pads[0], pads[2]), (pads[1], pads[3])),
    )  # fmt: skip


def layer_normalization(g: OnnxGraph, node: Node) -> Value:
    """LayerNormalization: along all dimensions from one on."""
    x, gamma, beta = g.settled(g.value(node, 0)), g.constant(node, 1), g.constant(node, 2)
    shape = onnx_shape(g.shape(x))
    (axis,) = node.axes((node.integer("axis", -1),), len(shape))
    axes = tuple(range(axis, len(shape)))
    if gamma is None:
        raise node.fail("has no constant scale")
    try:
        parts = [np.broadcast_to(p.real, shape[axis:]) for p in (gamma, beta) if p is not None]
    except ValueError:
        raise node.fail(f"normalises {shape} from dimension {axis} on by {gamma.data.shape}") from None
    return _normalized(g, node, x, axes, [p.reshape((1,) * axis + shape[axis:]) for p in parts])


def instance_normalization(g: OnnxGraph, node: Node) -> Value:
    """InstanceNormalization: every channel along all its pixels."""
    x, parts = g.settled(g.value(node, 0)), [g.constant(node, i) for i in (1, 2)]
    shape = onnx_shape(g.shape(x))
    if len(shape) < 3 or any(p is None or p.data.shape != shape[1:2] for p in parts):
        raise node.fail(f"normalises {shape} without a constant scale and offset a channel")
    along = (1, -1, *(1,) * (len(shape) - 2))
    reals = [p.real.reshape(along) for p in parts if p is not None]
    return _normalized(g, node, x, tuple(range(2, len(shape))), reals)


def _normalized(
    g: OnnxGraph, node: Node, x: Value, axes: tuple[int, ...], parts: list[NDArray[np.float32]]
) -> Value:
    """Normalise along ONNX's dimensions ``axes``, by the ops that compute it on a device.

    ``parts`` multiply it and are added, in ONNX's layout.
    """
    rank, shape = len(g.shape(x)), g.shape(x)
    places = tuple(sorted(NHWC.index(a) if rank == 4 else a for a in axes))
    kept = tuple(1 if i in places else size for i, size in enumerate(shape))
    stored = [Const(p.transpose(NHWC) if rank == 4 else p) for p in parts]
    epsilon = Const(np.full((1,) * rank, node.attributes.get("epsilon", 1e-5), np.float32))
    mean = g.pend(node, OpKind.MEAN, [x], suffix=".mean", axes=places, declared=kept)
    square = g.pend(node, OpKind.SQUARED_DIFFERENCE, [x, mean], suffix=".squares")
    variance = g.pend(node, OpKind.MEAN, [square], suffix=".variance", axes=places, declared=kept)
    safe = g.pend(node, OpKind.ADD, [variance, epsilon], suffix=".positive")
    root = g.pend(node, OpKind.RSQRT, [safe], suffix=".root")
    centred = g.pend(node, OpKind.SUB, [x, mean], suffix=".centred")
    unit = g.pend(node, OpKind.MUL, [centred, root], suffix=".unit")
    scaled = g.pend(node, OpKind.MUL, [unit, stored[0]], suffix=".scaled")
    return scaled if len(stored) < 2 else g.pend(node, OpKind.ADD, [scaled, stored[1]])
