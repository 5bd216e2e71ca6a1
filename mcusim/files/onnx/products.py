"""ONNX operators that multiply matrices, spread windows or normalise rows.

Operator definitions: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

import numpy as np

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
    """LayerNormalization along the last dimension, as the ops that compute it on a device."""
    x, gamma, beta = g.settled(g.value(node, 0)), g.constant(node, 1), g.constant(node, 2)
    rank = len(g.shape(x))
    (axis,) = node.axes((node.integer("axis", -1),), rank)
    if axis != rank - 1 or gamma is None or gamma.data.ndim != 1:
        raise node.fail(
            f"normalises {onnx_shape(g.shape(x))} from dimension {axis} on", "supported: the last"
        )
    place = NHWC.index(axis) if rank == 4 else axis
    along = tuple(-1 if i == place else 1 for i in range(rank))
    kept = tuple(1 if i == place else size for i, size in enumerate(g.shape(x)))
    epsilon = Const(np.full((1,) * rank, node.attributes.get("epsilon", 1e-5), np.float32))
    mean = g.pend(node, OpKind.MEAN, [x], suffix=".mean", axes=(place,), declared=kept)
    square = g.pend(node, OpKind.SQUARED_DIFFERENCE, [x, mean], suffix=".squares")
    variance = g.pend(node, OpKind.MEAN, [square], suffix=".variance", axes=(place,), declared=kept)
    safe = g.pend(node, OpKind.ADD, [variance, epsilon], suffix=".positive")
    root = g.pend(node, OpKind.RSQRT, [safe], suffix=".root")
    centred = g.pend(node, OpKind.SUB, [x, mean], suffix=".centred")
    unit = g.pend(node, OpKind.MUL, [centred, root], suffix=".unit")
    scaled = g.pend(node, OpKind.MUL, [unit, Const(gamma.real.reshape(along))], suffix=".scaled")
    if beta is None:
        return scaled
    return g.pend(node, OpKind.ADD, [scaled, Const(beta.real.reshape(along))])
