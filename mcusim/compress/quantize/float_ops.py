"""What each op computes on float32 arrays. Meanings are those of TFLite; fused activations come after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Op, OpKind, OpTable
from mcusim.graph.traits import UNARY
from mcusim.kernels.reference.moves import MOVES
from mcusim.kernels.reference.pairs import LOOKED_UP, PAIRS
from mcusim.kernels.reference.product import matrices
from mcusim.kernels.reference.unary import FUNCTIONS
from mcusim.kernels.reference.window import meeting

Array = NDArray[Any]
"""float32."""


def _padded(x: Array, op: Op, fill: float = 0) -> Array:
    if op.attributes.padding == ((0, 0), (0, 0)):
        return x
    return np.pad(x, ((0, 0), *op.attributes.padding, (0, 0)), constant_values=fill)


def _windows(x: Array, kernel: tuple[int, int], op: Op) -> Array:
    """Return a view ``[N, OH, OW, C, kh, kw]`` of the (padded) input."""
    (dy, dx), (sy, sx) = op.attributes.dilation, op.attributes.stride
    span = ((kernel[0] - 1) * dy + 1, (kernel[1] - 1) * dx + 1)
    view = np.lib.stride_tricks.sliding_window_view(x, span, (1, 2))
    return view[:, ::sy, ::sx, :, ::dy, ::dx]


def _conv(op: Op, operands: list[Array]) -> Array:
    x, weight = operands[0], operands[1]
    count, kh, kw, channels = weight.shape
    if (kh, kw) == (1, 1):
        x = _padded(x, op)[:, :: op.attributes.stride[0], :: op.attributes.stride[1]]
        columns, places = x.reshape(-1, channels), x.shape[:3]
    else:
        patches = _windows(_padded(x, op), (kh, kw), op).transpose(0, 1, 2, 4, 5, 3)
        columns, places = patches.reshape(-1, kh * kw * channels), patches.shape[:3]
    product = columns @ weight.reshape(count, -1).T
    return _biased(product, operands).reshape(*places, count)


def _depthwise(op: Op, operands: list[Array]) -> Array:
    x, weight = operands[0], operands[1]
    _, kh, kw, count = weight.shape
    if count != x.shape[3]:
        x = np.repeat(x, count // x.shape[3], axis=3)
    view = _windows(_padded(x, op), (kh, kw), op)
    total = np.multiply(view[..., 0, 0], weight[0, 0, 0])
    product = np.empty_like(total)
    for i, j in list(np.ndindex(kh, kw))[1:]:
        np.multiply(view[..., i, j], weight[0, i, j], out=product)
        total += product
    return _biased(total, operands)


def _grouped(op: Op, operands: list[Array]) -> Array:
    x, weight, *bias = operands
    count = x.shape[3] // weight.shape[3]
    parts = zip(np.split(x, count, 3), np.split(weight, count), strict=True)
    return _biased(np.concatenate([_conv(op, list(part)) for part in parts], 3), [x, weight, *bias])


def _transpose_conv(op: Op, operands: list[Array]) -> Array:
    x, weight = operands[0], operands[1]
    total = np.zeros((len(x), *op.attributes.shape[1:]), np.float32)
    for i, j, inside, outside in meeting(op, x.shape, total.shape, weight.shape[1:3]):
        total[outside] += x[inside] @ weight[:, i, j].T
    return _biased(total, operands)


def _batch_matmul(op: Op, operands: list[Array]) -> Array:
    left, right = matrices(op, tuple(operands))
    return np.asarray(left @ right)


def _log_softmax(op: Op, operands: list[Array]) -> Array:
    below = operands[0] - operands[0].max(-1, keepdims=True)
    return np.asarray(below - np.log(np.exp(below).sum(-1, keepdims=True)))


def _l2_normalization(op: Op, operands: list[Array]) -> Array:
    norm = np.sqrt(np.square(operands[0]).sum(-1, keepdims=True))
    return np.asarray(operands[0] / np.maximum(norm, np.float32(1e-6)))


def _fully_connected(op: Op, operands: list[Array]) -> Array:
    x, weight = operands[0], operands[1]
    return _biased(x.reshape(-1, weight.shape[1]) @ weight.T, operands)


def _biased(product: Array, operands: list[Array]) -> Array:
    if len(operands) > 2:
        product += operands[2]
    return product


def _average_pool(op: Op, operands: list[Array]) -> Array:
    # Padding does not count: the divisor is the number of real pixels under the window.
    x = operands[0]
    total = _windows(_padded(x, op), op.attributes.kernel, op).sum((-2, -1))
    ones = _padded(np.ones((1, *x.shape[1:3], 1), np.float32), op)
    return np.asarray(total / _windows(ones, op.attributes.kernel, op).sum((-2, -1)))


def _max_pool(op: Op, operands: list[Array]) -> Array:
    return np.asarray(_windows(_padded(operands[0], op, -np.inf), op.attributes.kernel, op).max((-2, -1)))


def _softmax(op: Op, operands: list[Array]) -> Array:
    x = operands[0] * np.float32(op.attributes.beta)
    axis = op.attributes.axes[0] if op.attributes.axes else -1
    e = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(e / e.sum(axis, keepdims=True))


def _coordinates(op: Op, axis: int, source: int) -> Array:
    """Return where, in input pixels, the output pixels of a spatial axis lie (TFLite's rules)."""
    target, place = op.attributes.shape[axis], np.arange(op.attributes.shape[axis])
    if op.attributes.align_corners and target > 1:
        return np.asarray(place * ((source - 1) / (target - 1)))
    if op.attributes.half_pixel_centers:
        return np.asarray((place + 0.5) * (source / target))
    return np.asarray(place * (source / target))


def _nearest(op: Op, operands: list[Array]) -> Array:
    x = operands[0]
    for axis in (1, 2):
        at = _coordinates(op, axis, x.shape[axis])
        at = np.floor(at + 0.5) if op.attributes.align_corners else np.floor(at)
        x = np.take(x, np.minimum(at.astype(int), x.shape[axis] - 1), axis)
    return x


def _bilinear(op: Op, operands: list[Array]) -> Array:
    x = operands[0]
    for axis in (1, 2):
        at = _coordinates(op, axis, x.shape[axis])
        at = np.maximum(at - 0.5, 0) if op.attributes.half_pixel_centers else at
        low = np.minimum(np.floor(at).astype(int), x.shape[axis] - 1)
        part = (at - low).astype(np.float32).reshape((-1, 1, 1) if axis == 1 else (1, -1, 1))
        high = np.minimum(low + 1, x.shape[axis] - 1)
        x = np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return x


def _batched(axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return tuple(a % rank for a in axes)


def _transpose(op: Op, operands: list[Array]) -> Array:
    return np.ascontiguousarray(operands[0].transpose(op.attributes.axes))


def _unary(op: Op, operands: list[Array]) -> Array:
    return FUNCTIONS.of(op).real(op, operands[0])


def _move(op: Op, operands: list[Array]) -> Array:
    return np.ascontiguousarray(MOVES[op.kind](op, operands[0]))


def _pair(op: Op, operands: list[Array]) -> Array:
    return np.asarray(PAIRS.of(op).real(*operands), np.float32)


FORWARD: OpTable[Callable[[Op, list[Array]], Array]] = OpTable(
    "float forward",
    {
        OpKind.CONV_2D: _conv,
        OpKind.DEPTHWISE_CONV_2D: _depthwise,
        OpKind.FULLY_CONNECTED: _fully_connected,
        OpKind.GROUPED_CONV_2D: _grouped,
        OpKind.TRANSPOSE_CONV: _transpose_conv,
        OpKind.BATCH_MATMUL: _batch_matmul,
        OpKind.LOG_SOFTMAX: _log_softmax,
        OpKind.L2_NORMALIZATION: _l2_normalization,
        OpKind.SUM: lambda op, x: x[0].sum(_batched(op.attributes.axes, x[0].ndim)),
        OpKind.REDUCE_MAX: lambda op, x: x[0].max(_batched(op.attributes.axes, x[0].ndim)),
        OpKind.REDUCE_MIN: lambda op, x: x[0].min(_batched(op.attributes.axes, x[0].ndim)),
        OpKind.ADD: lambda op, x: x[0] + x[1],
        OpKind.SUB: lambda op, x: x[0] - x[1],
        OpKind.MUL: lambda op, x: x[0] * x[1],
        **dict.fromkeys(LOOKED_UP, _pair),
        OpKind.PAD: lambda op, x: np.pad(x[0], op.attributes.pads, constant_values=op.attributes.fill or 0),
        **dict.fromkeys(MOVES, _move),
        OpKind.MEAN: lambda op, x: x[0].mean(_batched(op.attributes.axes, x[0].ndim)),
        OpKind.AVERAGE_POOL_2D: _average_pool,
        OpKind.MAX_POOL_2D: _max_pool,
        OpKind.RESHAPE: lambda op, x: x[0],
        OpKind.CONCATENATION: lambda op, x: np.concatenate(x, op.attributes.axes[0]),
        OpKind.TRANSPOSE: _transpose,
        OpKind.SOFTMAX: _softmax,
        OpKind.RESIZE_NEAREST_NEIGHBOR: _nearest,
        OpKind.RESIZE_BILINEAR: _bilinear,
        **dict.fromkeys(UNARY, _unary),
    },
    absent={
        OpKind.QUANTIZE: "is in a network that is quantised already",
        OpKind.DEQUANTIZE: "is in a network that is quantised already",
        OpKind.ARG_MAX: "cannot be quantised: it gives the number of the largest element",
    },
    way_out="give a float network that ends before it",
)
