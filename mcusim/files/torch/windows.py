"""Convolutions and pooling of PyTorch, over pictures and over signals.

A signal is a picture of one row: what works on signals is the same on pictures, with a view before and after.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mcusim.files.torch.graph import NHWC, TorchGraph
from mcusim.files.torch.layout import Held, channels_last, stored
from mcusim.graph import OpKind

Pair = tuple[int, int]


def pair(value: Any, signal: bool = False, other: int = 1) -> Pair:
    """Return a number for rows and one for columns; of a signal the rows have ``other``."""
    values = [value] if isinstance(value, int) else [int(v) for v in value]
    return (other if signal else values[0], values[-1])


def _picture(g: TorchGraph, node: Any, x: Any) -> str:
    """Return a node's tensor as NHWC; a signal as a picture of one row."""
    shape = g.shape(x)
    name = g.ordered(x, channels_last(len(shape)))
    if len(shape) == 4:
        return name
    row = (shape[0], 1, shape[2], shape[1])
    return g.op(node, OpKind.RESHAPE, (name,), row, suffix=".row", shape=row)


def _output(g: TorchGraph, node: Any) -> tuple[int, ...]:
    """Return the shape of a node's output as NHWC."""
    shape = g.shape(node)
    return stored(shape, NHWC) if len(shape) == 4 else (shape[0], 1, shape[2], shape[1])


def _back(g: TorchGraph, node: Any, name: str) -> Held:
    """Return an NHWC tensor as a node's output; a picture of one row as a signal."""
    shape = g.shape(node)
    order = channels_last(len(shape))
    if len(shape) == 3:
        new = stored(shape, order)
        name = g.op(node, OpKind.RESHAPE, (name,), new, suffix=".signal", shape=new)
    return Held(name, order)


def convolution(
    g: TorchGraph, node: Any, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Held:  # fmt: skip
    """``conv1d`` and ``conv2d``."""
    signal, channels = len(g.shape(x)) == 3, g.shape(x)[1]
    if weight not in g.arrays:
        raise g.fail(node, "its weight is computed")
    w = g.arrays[weight].astype(np.float32)
    w = w[:, :, None] if signal else w
    steps, spread = pair(stride, signal), pair(dilation, signal)
    if isinstance(padding, str):
        whole = [0 if padding == "valid" else d * (k - 1) for d, k in zip(spread, w.shape[2:], strict=True)]
        pads = tuple((n // 2, n - n // 2) for n in whole)
    else:
        pads = tuple((p, p) for p in pair(padding, signal, 0))
    depthwise = groups == channels and groups > 1
    # OIHW to OHWI; depthwise (C, 1, kh, kw) to (1, kh, kw, C).
    w = w.transpose(1, 2, 3, 0) if depthwise else w.transpose(0, 2, 3, 1)
    inputs = [_picture(g, node, x), g.build.constant(g.free(f"{weight.name}"), np.ascontiguousarray(w))]
    if bias is not None:
        inputs.append(g.build.constant(g.free(bias.name), g.arrays[bias].astype(np.float32)))
    kind = OpKind.CONV_2D if groups == 1 else OpKind.GROUPED_CONV_2D
    kind = OpKind.DEPTHWISE_CONV_2D if depthwise else kind
    name = g.op(node, kind, inputs, _output(g, node), stride=steps, padding=pads, dilation=spread)
    return _back(g, node, name)


def transposed(
    g: TorchGraph, node: Any, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    more: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Held:  # fmt: skip
    """``conv_transpose1d`` and ``conv_transpose2d``; what is added at the ends is in the output's shape."""
    signal = len(g.shape(x)) == 3
    if weight not in g.arrays or groups != 1 or pair(dilation, signal) != (1, 1):
        raise g.fail(node, f"its weight is computed, or it has {groups} groups or dilation {dilation}")
    w = g.arrays[weight].astype(np.float32)
    w = (w[:, :, None] if signal else w).transpose(1, 2, 3, 0)  # IOHW to OHWI
    inputs = [_picture(g, node, x), g.build.constant(g.free(weight.name), np.ascontiguousarray(w))]
    if bias is not None:
        inputs.append(g.build.constant(g.free(bias.name), g.arrays[bias].astype(np.float32)))
    shape, pads = _output(g, node), pair(padding, signal, 0)
    name = g.op(
        node, OpKind.TRANSPOSE_CONV, inputs, shape, stride=pair(stride, signal),
        padding=((pads[0], pads[0]), (pads[1], pads[1])), shape=shape,
    )  # fmt: skip
    return _back(g, node, name)


def _around(g: TorchGraph, node: Any, x: Any, kernel: Pair, stride: Pair, padding: Pair) -> tuple[Pair, Pair]:
    """Return the padding on each side; where sizes are rounded up, the last window reaches further."""
    sizes, outputs = _output(g, x)[1:3], _output(g, node)[1:3]
    ends = [
        max(p, (out - 1) * s + k - size - p)
        for size, out, k, s, p in zip(sizes, outputs, kernel, stride, padding, strict=True)
    ]
    return ((padding[0], ends[0]), (padding[1], ends[1]))


def max_pool(
    g: TorchGraph, node: Any, x: Any, kernel: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False,
) -> Held:  # fmt: skip
    """``max_pool1d`` and ``max_pool2d``."""
    signal = len(g.shape(x)) == 3
    if pair(dilation, signal) != (1, 1):
        raise g.fail(node, "is dilated")
    window, steps = pair(kernel, signal), pair(stride or kernel, signal)
    around = _around(g, node, x, window, steps, pair(padding, signal, 0))
    name = g.op(
        node, OpKind.MAX_POOL_2D, (_picture(g, node, x),), _output(g, node), kernel=window, stride=steps,
        padding=around,
    )  # fmt: skip
    return _back(g, node, name)


def average_pool(
    g: TorchGraph, node: Any, x: Any, kernel: Any, stride: Any = None, padding: Any = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor: int | None = None,
) -> Held:  # fmt: skip
    """``avg_pool1d`` and ``avg_pool2d``; padding that counts is padded with zeros first."""
    if divisor:
        raise g.fail(node, "has its own divisor")
    signal = len(g.shape(x)) == 3
    window, steps = pair(kernel, signal), pair(stride or kernel, signal)
    pads = pair(padding, signal, 0)
    around = _around(g, node, x, window, steps, pads)
    picture = _picture(g, node, x)
    if count_include_pad and pads != (0, 0):
        _, height, width, channels = _output(g, x)
        padded = (1, height + 2 * pads[0], width + 2 * pads[1], channels)
        zeros = ((0, 0), (pads[0], pads[0]), (pads[1], pads[1]), (0, 0))
        picture = g.op(node, OpKind.PAD, (picture,), padded, suffix=".padded", pads=zeros)
        around = ((0, around[0][1] - pads[0]), (0, around[1][1] - pads[1]))
    name = g.op(
        node,
        OpKind.AVERAGE_POOL_2D,
        (picture,),
        _output(g, node),
        kernel=window,
        stride=steps,
        padding=around,
    )
    return _back(g, node, name)


def adaptive_pool(g: TorchGraph, node: Any, x: Any, size: Any) -> Held:
    """``adaptive_avg_pool1d`` and ``adaptive_avg_pool2d``, to sizes whose windows are all alike."""
    sizes, outputs = _output(g, x)[1:3], _output(g, node)[1:3]
    picture, shape = _picture(g, node, x), _output(g, node)
    if outputs == (1, 1):
        return _back(g, node, g.op(node, OpKind.MEAN, (picture,), shape, axes=(1, 2)))
    if any(n % out for n, out in zip(sizes, outputs, strict=True)):
        raise g.fail(node, f"pools {sizes} to {outputs}, in windows of several sizes")
    window = (sizes[0] // outputs[0], sizes[1] // outputs[1])
    name = g.op(node, OpKind.AVERAGE_POOL_2D, (picture,), shape, kernel=window, stride=window)
    return _back(g, node, name)
