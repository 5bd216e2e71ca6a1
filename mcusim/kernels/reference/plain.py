"""Gradients of ops without weights, with respect to one of their inputs.

Each entry returns a function of (g, inputs, shape): the masked gradient of the output in real units, what
the op's backward reads, and the shape of the input; it returns the gradient of the input as float32.
Sums run in a fixed order: reduced elements ascending.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mcusim.graph import LIMITS, QUANTISED, Op, OpKind
from mcusim.graph.traits import UNARY
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.reference import normalise, product
from mcusim.kernels.reference.moves import MOVES, gradient
from mcusim.kernels.reference.pairs import LOOKED_UP, slope
from mcusim.kernels.reference.shape import interior, nearest, weights
from mcusim.kernels.reference.unary import FUNCTIONS
from mcusim.kernels.reference.window import taps, windows
from mcusim.kernels.scales import limits_of, quant_of, scale_of

F = np.float32
Floats = Array
Compute = Callable[[Floats, tuple[Array, ...], tuple[int, ...]], Floats]


def gradient_ratio(op: Op, tensors: Tensors, index: int) -> np.float32:
    """Return s_x / s_y, the derivative of a rescaling; a float32 tensor counts as scale 1."""
    s_x, s_y = (
        scale_of(t) if t.quant is not None and t.dtype != "float32" else 1.0
        for t in (tensors[op.inputs[index]], tensors[op.output])
    )
    return F(s_x / s_y)


def reduce_to(g: Floats, shape: tuple[int, ...]) -> Floats:
    """Sum over the dimensions along which an input of ``shape`` was broadcast."""
    padded = (1,) * (g.ndim - len(shape)) + shape
    reduced = [i for i in range(g.ndim) if padded[i] == 1 and g.shape[i] > 1]
    if reduced:
        kept = [i for i in range(g.ndim) if i not in reduced]
        rows = g.transpose(*reduced, *kept).reshape(int(np.prod([g.shape[i] for i in reduced])), -1)
        total = np.zeros(rows.shape[1], F)
        for row in rows:
            total += row
        g = total
    return g.reshape(shape)


def _scaled(op: Op, tensors: Tensors, index: int) -> Compute:
    ratio = gradient_ratio(op, tensors, index)
    factor = -ratio if op.kind is OpKind.SUB and index == 1 else ratio
    return lambda g, inputs, shape: reduce_to(g * factor, shape) if g.shape != shape else g * factor


def _reshape(op: Op, tensors: Tensors, index: int) -> Compute:
    return lambda g, inputs, shape: g.reshape(shape)


def _multiply(op: Op, tensors: Tensors, index: int) -> Compute:
    other = quant_of(tensors[op.inputs[1 - index]])
    s_a, s_b = (scale_of(tensors[n]) for n in op.inputs)
    factor = F(s_a * s_b / scale_of(tensors[op.output]))

    def compute(g: Floats, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Floats:
        slope = (inputs[1 - index].astype(np.int64) - other.zero_point).astype(F) * factor
        return reduce_to(g * slope, shape)

    return compute


def _pair(op: Op, tensors: Tensors, index: int) -> Compute:
    derivative = slope(op, tensors, index)
    return lambda g, inputs, shape: reduce_to(g * derivative(*inputs), shape)


def _mean(op: Op, tensors: Tensors, index: int) -> Compute:
    ratio = gradient_ratio(op, tensors, 0)

    def compute(g: Floats, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Floats:
        axes = {a % len(shape) for a in op.attributes.axes}
        count = int(np.prod([shape[a] for a in axes]))
        kept = tuple(1 if i in axes else size for i, size in enumerate(shape))
        return np.broadcast_to(g.reshape(kept) * (ratio / F(count)), shape)

    return compute


def _sum(op: Op, tensors: Tensors, index: int) -> Compute:
    ratio = gradient_ratio(op, tensors, 0)

    def compute(g: Floats, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Floats:
        return np.broadcast_to(g.reshape(_kept(op, shape)) * ratio, shape)

    return compute


def _kept(op: Op, shape: tuple[int, ...]) -> tuple[int, ...]:
    axes = {a % len(shape) for a in op.attributes.axes}
    return tuple(1 if i in axes else size for i, size in enumerate(shape))


def _extreme(op: Op, tensors: Tensors, index: int) -> Compute:
    """All of the gradient goes to the first extreme, in row-major order."""

    def compute(g: Floats, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Floats:
        axes = sorted({a % len(shape) for a in op.attributes.axes})
        rest = [i for i in range(len(shape)) if i not in axes]
        order = (*rest, *axes)
        rows = inputs[0].transpose(order).reshape(*(shape[i] for i in rest), -1)
        winner = rows.argmax(-1) if op.kind is OpKind.REDUCE_MAX else rows.argmin(-1)
        g_x = np.zeros(rows.shape, F)
        np.put_along_axis(g_x, winner[..., None], g.reshape(*winner.shape, 1), -1)
        return g_x.reshape([shape[i] for i in order]).transpose(np.argsort(order))

    return compute


def _average(op: Op, tensors: Tensors, index: int) -> Compute:
    def compute(g: Floats, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Floats:
        met = taps(op, shape, g.shape, op.attributes.kernel)
        count = np.zeros(g.shape, F)
        for _, _, _, outside in met:
            count[outside] += F(1)
        share, g_x = g / count, np.zeros(shape, F)
        for _, _, inside, outside in met:
            g_x[inside] += share[outside]
        return g_x

    return compute


def _max(op: Op, tensors: Tensors, index: int) -> Compute:
    """All of the gradient goes to the first largest element of a window, in row-major order."""
    low, high = limits_of(op, tensors)
    lowest = LIMITS[tensors[op.output].dtype][0]

    def compute(g: Floats, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Floats:
        patches = [p for row in windows(inputs[0], op.attributes.kernel, op, lowest) for p in row]
        stacked = np.stack(patches)
        # Padding holds the lowest number too; an element inside the image must win against it.
        real = np.stack([p for r in windows(np.ones_like(inputs[0]), op.attributes.kernel, op, 0) for p in r])
        winner = np.where(real == 1, stacked.astype(np.int64), lowest - 1).argmax(0)
        largest = stacked.max(0)
        g = np.where((largest >= low) & (largest <= high), g, F(0))
        g_x = np.zeros(shape, F)
        for number, (_, _, inside, outside) in enumerate(taps(op, shape, g.shape, op.attributes.kernel)):
            g_x[inside] += np.where(winner == number, g, F(0))[outside]
        return g_x

    return compute


def _pad(op: Op, tensors: Tensors, index: int) -> Compute:
    return lambda g, inputs, shape: g[interior(op, shape)]


def _concatenation(op: Op, tensors: Tensors, index: int) -> Compute:
    axis, ratio = op.attributes.axes[0], gradient_ratio(op, tensors, index)
    start = sum(tensors[n].shape[axis] for n in op.inputs[:index])

    def compute(g: Floats, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Floats:
        return g.take(range(start, start + shape[axis]), axis) * ratio

    return compute


def _transpose(op: Op, tensors: Tensors, index: int) -> Compute:
    return lambda g, inputs, shape: g.transpose(np.argsort(op.attributes.axes))


def _unary(op: Op, tensors: Tensors, index: int) -> Compute:
    function = FUNCTIONS.of(op)
    if function.slope is None:
        return _scaled(op, tensors, index)
    slope, ratio = function.slope, gradient_ratio(op, tensors, 0)
    quant = quant_of(tensors[op.output if op.traits.reads == ("output",) else op.inputs[0]])

    def compute(g: Floats, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Floats:
        real = (inputs[0].astype(np.int64) - quant.zero_point).astype(F) * F(quant.scale[0])
        return (g * (slope(op, real) * ratio)).reshape(shape)

    return compute


def _softmax(op: Op, tensors: Tensors, index: int) -> Compute:
    """Derivative from the output: p_i (g_i - Σ_j g_j p_j), times beta."""
    y, ratio = tensors[op.output], gradient_ratio(op, tensors, 0)

    def compute(g: Floats, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Floats:
        p = inputs[0]
        if y.dtype in QUANTISED:
            p = (p.astype(np.int64) - quant_of(y).zero_point).astype(F) * F(scale_of(y))
        total = np.zeros(g.shape[:-1], F)
        for j in range(g.shape[-1]):
            total += g[..., j] * p[..., j]
        return p * (g - total[..., None]) * (ratio * F(op.attributes.beta))

    return compute


def _nearest(op: Op, tensors: Tensors, index: int) -> Compute:
    def compute(g: Floats, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Floats:
        rows, columns = (nearest(op, i, shape[1 + i], g.shape[1 + i]) for i in (0, 1))
        g_x = np.zeros(shape, F)
        np.add.at(g_x, (slice(None), rows[:, None], columns), g)  # type: ignore[arg-type]
        return g_x

    return compute


def _bilinear(op: Op, tensors: Tensors, index: int) -> Compute:
    unit = F(1) if op.attributes.unsigned else F(1 / 1024)

    def compute(g: Floats, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Floats:
        g_x = np.zeros(shape, F)
        for rows, down in weights(op, 0, shape[1], g.shape[1]):
            for columns, across in weights(op, 1, shape[2], g.shape[2]):
                share = (down.astype(F) * unit)[:, None, None] * (across.astype(F) * unit)[:, None]
                np.add.at(g_x, (slice(None), rows[:, None], columns), g * share)  # type: ignore[arg-type]
        return g_x

    return compute


PLAIN: Mapping[OpKind, Callable[[Op, Tensors, int], Compute]] = {
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(LOOKED_UP, _pair),
    OpKind.ADD: _scaled,
    OpKind.SUB: _scaled,
    OpKind.QUANTIZE: _scaled,
    OpKind.DEQUANTIZE: _scaled,
    OpKind.RESHAPE: _reshape,
    OpKind.MUL: _multiply,
    OpKind.MEAN: _mean,
    OpKind.SUM: _sum,
    OpKind.REDUCE_MAX: _extreme,
    OpKind.REDUCE_MIN: _extreme,
    OpKind.BATCH_MATMUL: product.gradient,
    OpKind.LOG_SOFTMAX: normalise.log_softmax_gradient,
    OpKind.L2_NORMALIZATION: normalise.l2_gradient,
    OpKind.AVERAGE_POOL_2D: _average,
    OpKind.MAX_POOL_2D: _max,
    OpKind.PAD: _pad,
    OpKind.CONCATENATION: _concatenation,
    **dict.fromkeys(MOVES, gradient),
    OpKind.TRANSPOSE: _transpose,
    OpKind.SOFTMAX: _softmax,
    OpKind.RESIZE_NEAREST_NEIGHBOR: _nearest,
    OpKind.RESIZE_BILINEAR: _bilinear,
}
"""The rows of these ops in the table of slow gradients."""
