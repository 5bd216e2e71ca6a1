"""ONNX operators that multiply matrices, spread windows or normalise rows.

Operator definitions: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mcusim.files.onnx.graph import NCHW, NHWC, Const, OnnxGraph, Value, onnx_shape
from mcusim.files.onnx.proto import Node
from mcusim.files.onnx.windows import bias_operands, pixels_and_weight, signal_again
from mcusim.graph import OpKind, Pads


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
    """ConvTranspose over pixels or over a signal, in one group."""
    x, w, signal = pixels_and_weight(g, node)
    shape, groups = g.shape(x), node.integer("group", 1)
    if groups != 1:
        raise node.fail(f"is transposed in {groups} groups", "export it in one")
    rank, one = (1, (0,)) if signal else (2, ())
    stride = (*(1,) * len(one), *node.integers("strides", (1,) * rank))
    dilation = node.integers("dilations", (1,) * rank)
    more = (*one, *node.integers("output_padding", (0,) * rank))
    if {*dilation} != {1}:
        raise node.fail(f"has the dilations {dilation}", "export it without")
    if (len(stride), len(more)) != (2, 2):
        raise node.fail("works on something else than two dimensions of pixels")
    whole = [(shape[1 + i] - 1) * stride[i] + w.data.shape[2 + i] + more[i] for i in range(2)]
    pads = _cut_off(node, whole, [shape[1 + i] * stride[i] for i in range(2)], signal)
    sides = [whole[i] - sum(pads[i]) for i in range(2)]
    operands: list[Value] = [x, w.transposed((1, 2, 3, 0)), *bias_operands(g, node, 2, w.data.shape[1])]
    found = g.pend(
        node, OpKind.TRANSPOSE_CONV, operands, stride=stride, shape=(shape[0], *sides, w.data.shape[1]),
        padding=pads,
    )  # fmt: skip
    return replace(found, after=signal_again(found.shape)) if signal else found


def _cut_off(node: Node, whole: list[int], same: list[int], signal: bool) -> Pads:
    """Return how much of a whole output is cut off at either end of each side.

    It follows from the pads, or from the size that is asked for; an odd row or column goes to the front, with
    SAME_UPPER to the end, as ONNX Runtime has it.
    """
    auto, given = node.attributes.get("auto_pad", "NOTSET"), node.integers("output_shape", ())
    if given:
        sizes = ([whole[0]] if signal else []) + list(given[-(1 if signal else 2) :])
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        sizes = [whole[0], same[1]] if signal else same
    elif auto in ("NOTSET", "VALID"):
        pads = node.integers("pads", (0, 0) if signal else (0, 0, 0, 0)) if auto == "NOTSET" else (0,) * 4
        pads = (0, pads[0], 0, pads[1]) if signal else pads
        if len(pads) != 4:
            raise node.fail(f"has the pads {pads}")
        return ((pads[0], pads[2]), (pads[1], pads[3]))
    else:
        raise node.fail(f"has auto_pad {auto}")
    totals = [before - after for before, after in zip(whole, sizes, strict=True)]
    if min(totals) < 0:
        raise node.fail(f"makes {sizes} of {whole}", "export it with pads and output_padding")
    halves = [(total // 2, total - total // 2) for total in totals]
    ends = halves if auto == "SAME_UPPER" else [half[::-1] for half in halves]
    return (ends[0], ends[1])


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


def lp_normalization(g: OnnxGraph, node: Node) -> Value:
    """LpNormalization: vectors of length 1, along the dimension that is stored last."""
    x, power = g.value(node, 0), node.integer("p", 2)
    rank = len(g.shape(x))
    (axis,) = node.axes((node.integer("axis", -1),), rank)
    place = NHWC.index(axis) if rank == 4 else axis
    if power != 2 or place != rank - 1:
        raise node.fail(
            f"normalises along dimension {axis} of {rank} by p = {power}",
            "supported: p = 2 along the last, of pictures along the channels",
        )
    return g.pend(node, OpKind.L2_NORMALIZATION, [x])


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
