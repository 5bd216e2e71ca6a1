"""ONNX operators that look through windows: convolutions and poolings, of pixels or of a signal.

A signal ``[N, C, L]`` is a picture of one row here, with channels last.
Operator definitions: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.files.onnx.graph import Const, Moved, OnnxGraph, Shape, Value
from mcusim.files.onnx.proto import Node
from mcusim.files.tflite.operators import same_padding
from mcusim.graph import OpKind, Pads, Quant

Reals = NDArray[np.float64]
NOTHING: Pads = ((0, 0), (0, 0))


def _window(node: Node, shape: Shape, kernel: tuple[int, int], *, signal: bool) -> dict[str, Any]:
    """Return stride, dilation and padding of a convolution or pooling over a stored shape."""
    one = (1,) if signal else (1, 1)
    stride, dilation = node.integers("strides", one), node.integers("dilations", one)
    pads = node.integers("pads", (0, 0) if signal else (0, 0, 0, 0))
    if signal and (len(stride), len(dilation), len(pads)) == (1, 1, 2):
        stride, dilation, pads = (1, *stride), (1, *dilation), (0, pads[0], 0, pads[1])
    if len(shape) != 4 or (len(stride), len(dilation), len(pads)) != (2, 2, 4) or min(*stride, *dilation) < 1:
        raise node.fail("works on something else than two dimensions of pixels")
    padding: Pads = ((pads[0], pads[2]), (pads[1], pads[3]))
    steps, gaps = (stride[0], stride[1]), (dilation[0], dilation[1])
    match node.attributes.get("auto_pad", "NOTSET"):
        case "NOTSET":
            pass
        case "VALID":
            padding = NOTHING
        case "SAME_UPPER":
            padding = same_padding(shape, kernel, steps, gaps)
        case "SAME_LOWER":  # an odd row or column goes to the top or left
            (top, bottom), (left, right) = same_padding(shape, kernel, steps, gaps)
            padding = ((bottom, top), (right, left))
        case other:
            raise node.fail(f"has auto_pad {other}")
    return {"stride": stride, "dilation": dilation, "padding": padding}


def as_row(g: OnnxGraph, node: Node, x: Value) -> Value:
    """Return a signal as a picture of one row."""
    batch, channels, length = g.shape(x)
    x = g.move(node, OpKind.TRANSPOSE, x, suffix=".last", axes=(0, 2, 1))
    return g.move(node, OpKind.RESHAPE, x, suffix=".row", shape=(batch, 1, length, channels))


def as_signal(g: OnnxGraph, node: Node, row: Value) -> Value:
    """Return a picture of one row as the signal it is."""
    batch, _, length, channels = g.shape(row)
    x = g.move(node, OpKind.RESHAPE, row, suffix=".flat", shape=(batch, length, channels))
    return g.move(node, OpKind.TRANSPOSE, x, suffix=".signal", axes=(0, 2, 1))


def signal_again(row: Shape) -> tuple[Moved, ...]:
    """Return the moves that make a picture of one row, which is not decided yet, the signal it is."""
    batch, _, length, channels = row
    back = Moved(OpKind.RESHAPE, (batch, length, channels))
    return (back, Moved(OpKind.TRANSPOSE, (batch, channels, length), (0, 2, 1)))


def bias_operands(g: OnnxGraph, node: Node, index: int, channels: int) -> list[Value]:
    """Return the bias of a product with so many output channels, if it has one."""
    bias = g.constant(node, index)
    if bias is None:
        return []
    if bias.data.size != channels:
        raise node.fail(f"has {channels} output channels and a bias of shape {bias.data.shape}")
    return [Const(bias.data.reshape(channels), bias.quant)]


def pixels_and_weight(g: OnnxGraph, node: Node) -> tuple[Value, Const, bool]:
    """Return what a convolution slides over, as pixels, its weight, and whether it was a signal."""
    x, w = g.value(node, 0), g.constant(node, 1)
    signal = w is not None and w.data.ndim == len(g.shape(x)) == 3
    if signal and w is not None:
        x, w = as_row(g, node, x), Const(w.data[:, :, None], w.quant)
    if w is None or w.data.ndim != 4 or len(g.shape(x)) != 4:
        raise node.fail("is no convolution over pixels or over a signal")
    return x, w, signal


def conv(g: OnnxGraph, node: Node) -> Value:
    """Conv over pixels or over a signal, in any number of groups."""
    x, w, signal = pixels_and_weight(g, node)
    shape = g.shape(x)
    count, depth, height, width = w.data.shape
    kernel = node.integers("kernel_shape", ())
    if kernel and kernel != w.data.shape[3 if signal else 2 :]:
        raise node.fail(f"names a window of {kernel} and has a weight of {w.data.shape}")
    groups = node.integer("group", 1)
    depthwise = groups == shape[3] and depth == 1 and groups > 1
    if groups < 1 or depth * groups != shape[3] or count % groups:
        raise node.fail(f"has {groups} groups of {depth} channels for {shape[3]}")
    # OIHW to OHWI; depthwise (C, 1, kh, kw) to (1, kh, kw, C).
    operands = [x, w.transposed((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))]
    operands += bias_operands(g, node, 2, count)
    kind = OpKind.DEPTHWISE_CONV_2D if depthwise else OpKind.CONV_2D
    if groups > 1 and not depthwise:
        kind = OpKind.GROUPED_CONV_2D
    found = g.pend(node, kind, operands, **_window(node, shape, (height, width), signal=signal))
    if not signal:
        return found
    return replace(found, after=signal_again(found.shape))


def scaled(g: OnnxGraph, node: Node, x: Value, factor: Reals, offset: Reals) -> Value:
    """Return integers times a number a channel and another one added, as windows of one pixel."""
    shape = g.shape(x)
    rows = {2: (1, 1), 3: ()}.get(len(shape), ())
    if len(shape) == 3:
        x = as_row(g, node, x)
    elif rows:
        x = g.move(node, OpKind.RESHAPE, x, suffix=".pixel", shape=(shape[0], *rows, shape[1]))
    elif len(shape) != 4:
        raise node.fail(f"normalises integers of {len(shape)} dimensions", "supported: 2, 3 and 4")
    scales = np.maximum(np.abs(factor), 1e-12).astype(np.float32) / np.float32(127)
    weight = Const(np.where(factor < 0, -127, 127).astype(np.int8).reshape(1, 1, 1, -1), Quant(scales, 0, 3))
    operands: list[Value] = [x, weight, Const(offset.astype(np.float32))]
    found = g.pend(node, OpKind.DEPTHWISE_CONV_2D, operands)
    if len(shape) == 3:
        return replace(found, after=signal_again(found.shape))
    return found if not rows else replace(found, after=(Moved(OpKind.RESHAPE, shape),))


def _pool(kind: OpKind, g: OnnxGraph, node: Node) -> Value:
    x, kernel = g.value(node, 0), node.integers("kernel_shape", ())
    signal = len(g.shape(x)) == 3 and len(kernel) == 1
    if signal:
        x, kernel = as_row(g, node, x), (1, *kernel)
    shape = g.shape(x)
    if len(shape) != 4 or len(kernel) != 2 or min(kernel) < 1:
        raise node.fail("pools something else than pixels or a signal")
    window = _window(node, shape, (kernel[0], kernel[1]), signal=signal)
    if window["dilation"] != (1, 1):
        raise node.fail("is a dilated pooling", "export it without")
    if node.integer("storage_order", 0):
        raise node.fail("counts columns first", "export it with storage_order 0")
    counted = kind is OpKind.AVERAGE_POOL_2D and node.integer("count_include_pad", 0)
    if node.integer("ceil_mode", 0):
        more = _last_windows(shape, kernel, window)
        if counted and more != window["padding"]:
            raise node.fail("counts its padding, and its last windows reach beyond that (ceil_mode)")
        window["padding"] = more
    if counted and window["padding"] != NOTHING:
        pads = ((0, 0), *window["padding"], (0, 0))
        x = g.move(node, OpKind.PAD, x, suffix=".padded", pads=pads)
        window["padding"] = NOTHING
    pooled = g.move(node, kind, x, suffix=".pooled" if signal else "", kernel=kernel, **window)
    return as_signal(g, node, pooled) if signal else pooled


def _last_windows(shape: Shape, kernel: Shape, window: dict[str, Any]) -> Pads:
    """Return the padding with which a last window that reaches beyond the end counts (ceil_mode).

    It counts only if it begins on a pixel or on the padding before.
    """
    sides = []
    for size, length, step, (before, after) in zip(
        shape[1:3], kernel, window["stride"], window["padding"], strict=True
    ):
        count = -(-(size + before + after - length) // step) + 1
        if (count - 1) * step >= size + before:
            count -= 1
        sides.append((before, max(after, (count - 1) * step + length - size - before)))
    return (sides[0], sides[1])


average_pool = partial(_pool, OpKind.AVERAGE_POOL_2D)
max_pool = partial(_pool, OpKind.MAX_POOL_2D)
