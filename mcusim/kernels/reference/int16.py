"""16-bit activations with 8-bit weights (int16x8), as TFLite Micro and LiteRT compute them.

Zero points are 0. Weighted ops sum in 64 bits and multiply by the upper 16 bits of the multiplier. Where
the bias is int32, TFLite Micro sums in 32 bits and rounds as of 8-bit activations, in convolutions and fully
connected layers; its other kernels, and LiteRT's, take int64 biases only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.graph import LIMITS, WEIGHTED, Arithmetic, Op, OpKind, OpTable
from mcusim.graph.traits import MOVES
from mcusim.kernels.arrays import Array, Tensors, constant
from mcusim.kernels.reference.int16_curves import logistic, softmax, tanh
from mcusim.kernels.reference.pairs import require_one_scale
from mcusim.kernels.reference.pool import divide_half_away, mean_multiplier, pooled
from mcusim.kernels.reference.product import matrices
from mcusim.kernels.reference.rescale import (
    FAR,
    half_away,
    multiply_by_quantized,
    multiply_wide,
    store,
    wrap,
)
from mcusim.kernels.reference.window import accumulate
from mcusim.kernels.scales import (
    accumulator_factors,
    limits_of,
    multiplier_and_shift,
    quant_of,
    rounds_once,
    scale_of,
)

F = np.float32
Kernel = Callable[..., None]
Compute = Callable[..., Array]
Maker = Callable[[Op, Tensors], Compute]
LEFT_SHIFT = 15
"""ADD and SUB work in units of 2**-15 of twice the larger input scale; of 8 bits it is 2**-20."""
NARROW = (OpKind.CONV_2D, OpKind.GROUPED_CONV_2D, OpKind.FULLY_CONNECTED)
"""What TFLite Micro computes with int32 biases too."""
ANY_TYPE = (*MOVES, OpKind.RESHAPE, OpKind.RESIZE_NEAREST_NEIGHBOR)
"""What only moves numbers, 16-bit ones as any other."""


def is_int16(op: Op, tensors: Tensors) -> bool:
    """True if an op computes with 16-bit activations, or gives them."""
    return op.kind not in ANY_TYPE and "int16" in (tensors[op.inputs[0]].dtype, tensors[op.output].dtype)


def check_int16(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> None:
    """Refuse an op on 16-bit activations that no runtime computes.

    Raises:
        BadModel: if it has no 16-bit form; or if the arithmetic has none, a zero point is not 0, or a bias
            has a type that is not taken.
    """
    INT16.of(op)
    thing = f"op {op.name!r} ({op.kind})"
    if not arithmetic.fixed_point:
        reason = f"has 16-bit activations, and the arithmetic {arithmetic} is of 8-bit ones"
        raise BadModel(thing, reason, "leave it at tflite, or choose litert")
    names = (op.inputs[0], op.output) if op.traits.weighted else (*op.inputs, op.output)
    for tensor in (tensors[name] for name in names if tensors[name].dtype == "int16"):
        if zero := quant_of(tensor).zero_point:
            reason = f"has 16-bit activations {tensor.name!r} with zero point {zero}"
            raise BadModel(thing, reason, "convert the network again: TFLite's 16x8 mode has zero points 0")
    if _narrow(op, tensors) and (arithmetic is Arithmetic.LITERT or op.kind not in NARROW):
        reason = f"has 16-bit activations and the int32 bias {op.inputs[2]!r}, which is taken as int64"
        raise BadModel(thing, reason, "convert the network with int64 biases, as the 16x8 mode does")


def int16(op: Op, tensors: Tensors, arithmetic: Arithmetic, *, frozen: bool = True) -> Kernel:
    """Return the kernel of an op on 16-bit activations; see ``mcusim.kernels.forward.forward``.

    Raises:
        BadModel: as `check_int16` does, or if scales do not suit the op.
    """
    check_int16(op, tensors, arithmetic)
    once = rounds_once(op.kind, arithmetic) and tensors[op.inputs[0]].dtype == "int16"
    compute = _rounded_once(op, tensors) if once else INT16.of(op)(op, tensors)
    real = tensors[op.output].dtype == "float32"
    low, high = (0, 0) if real else limits_of(op, tensors)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        if op.traits.weighted and frozen:
            inputs = (inputs[0], *(constant(op, tensors, i) for i in range(1, len(op.inputs))))
        found = compute(*inputs, shape=output.shape)
        if real:
            output[...] = found.reshape(output.shape)
        else:
            store(found, low, high, output, mask)

    return kernel


def _narrow(op: Op, tensors: Tensors) -> bool:
    """True if an op of 16-bit activations has an int32 bias."""
    biased = op.traits.weighted and len(op.inputs) > 2 and tensors[op.inputs[0]].dtype == "int16"
    return biased and tensors[op.inputs[2]].dtype == "int32"


def _weighted(op: Op, tensors: Tensors) -> Compute:
    fixed = [multiplier_and_shift(float(f)) for f in accumulator_factors(op, tensors)]
    multiplier, shift = (np.array(column, np.int32) for column in zip(*fixed, strict=True))
    given = tensors[op.inputs[0]]
    zero = quant_of(given).zero_point
    multiply = multiply_by_quantized if given.dtype == "int8" or _narrow(op, tensors) else multiply_wide

    def compute(x: Array, weight: Array, bias: Array | None = None, *, shape: tuple[int, ...]) -> Array:
        acc = _sums(op, x.astype(np.int64) - zero, weight, bias)
        return multiply(wrap(acc) if multiply is multiply_by_quantized else acc, multiplier, shift)

    return compute


def _sums(op: Op, x: Array, weight: Array, bias: Array | None) -> Array:
    """Return the int64 accumulators of a weighted op."""
    acc = accumulate(op, x.astype(np.int64), weight.astype(np.int64))
    return acc if bias is None else acc + bias.astype(np.int64)


def _rounded_once(op: Op, tensors: Tensors) -> Compute:
    """As LiteRT's FULLY_CONNECTED, see `rounds_once`."""
    real = accumulator_factors(op, tensors)

    def compute(x: Array, weight: Array, bias: Array | None = None, *, shape: tuple[int, ...]) -> Array:
        once = half_away(_sums(op, x, weight, bias).astype(np.float64) * real)
        return np.asarray(np.clip(once, -FAR, FAR).astype(np.int64))

    return compute


def _batch_matmul(op: Op, tensors: Tensors) -> Compute:
    a, b, y = (scale_of(tensors[n]) for n in (*op.inputs, op.output))
    factor = multiplier_and_shift(a * b / y)

    def compute(p: Array, q: Array, *, shape: tuple[int, ...]) -> Array:
        # Products of 2**30: float64 sums 2**23 of them exactly.
        left, right = matrices(op, (p.astype(np.float64), q.astype(np.float64)))
        return multiply_wide((left @ right).astype(np.int64), *factor)

    return compute


def _add(op: Op, tensors: Tensors) -> Compute:
    a, b, y = (scale_of(tensors[n]) for n in (*op.inputs, op.output))
    twice = 2 * max(a, b)
    m_a, m_b, m_y = (multiplier_and_shift(f) for f in (a / twice, b / twice, twice / ((1 << LEFT_SHIFT) * y)))
    sign = -1 if op.kind is OpKind.SUB else 1

    def compute(p: Array, q: Array, *, shape: tuple[int, ...]) -> Array:
        left = multiply_by_quantized(p.astype(np.int64) << LEFT_SHIFT, *m_a)
        right = multiply_by_quantized(q.astype(np.int64) << LEFT_SHIFT, *m_b)
        return multiply_by_quantized(wrap(left + sign * right), *m_y)

    return compute


def _multiply(op: Op, tensors: Tensors) -> Compute:
    a, b, y = (scale_of(tensors[n]) for n in (*op.inputs, op.output))
    factor, zero = multiplier_and_shift(a * b / y), quant_of(tensors[op.output]).zero_point

    def compute(p: Array, q: Array, *, shape: tuple[int, ...]) -> Array:
        return multiply_by_quantized(p.astype(np.int64) * q.astype(np.int64), *factor) + zero

    return compute


def _squared_difference(op: Op, tensors: Tensors) -> Compute:
    a, b, y = (scale_of(tensors[n]) for n in (*op.inputs, op.output))
    twice = 2 * max(a, b)
    whole = twice * twice / y
    m_a, m_b, m_y = (multiplier_and_shift(f) for f in (a / twice, b / twice, whole))

    def compute(p: Array, q: Array, *, shape: tuple[int, ...]) -> Array:
        left = multiply_by_quantized(p.astype(np.int64), *m_a)
        right = multiply_by_quantized(q.astype(np.int64), *m_b)
        return multiply_by_quantized(wrap((left - right) ** 2), *m_y)

    return compute


def _chosen(choose: Callable[[Array, Array], Array]) -> Maker:
    def make(op: Op, tensors: Tensors) -> Compute:
        require_one_scale(op, tensors)
        return lambda p, q, *, shape: choose(p.astype(np.int64), q.astype(np.int64))

    return make


def _same_scale(op: Op, tensors: Tensors) -> float:
    """Return the factor from input to output, in float64."""
    return scale_of(tensors[op.inputs[0]]) / scale_of(tensors[op.output])


def _reduced(op: Op, tensors: Tensors) -> Compute:
    ratio = _same_scale(op, tensors)

    def compute(x: Array, *, shape: tuple[int, ...]) -> Array:
        axes = tuple(a % x.ndim for a in op.attributes.axes)
        total = x.astype(np.int64).sum(axes)
        count = int(np.prod([x.shape[a] for a in axes])) if op.kind is OpKind.MEAN else 1
        return multiply_by_quantized(total, *mean_multiplier(ratio, count))

    return compute


def _extreme(op: Op, tensors: Tensors) -> Compute:
    require_one_scale(op, tensors)
    choose = np.max if op.kind is OpKind.REDUCE_MAX else np.min
    return lambda x, *, shape: choose(x.astype(np.int64), tuple(a % x.ndim for a in op.attributes.axes))


def _average_pool(op: Op, tensors: Tensors) -> Compute:
    def compute(x: Array, *, shape: tuple[int, ...]) -> Array:
        total = np.sum([p.astype(np.int64) for p in pooled(op, x, 0)], 0)
        count = np.sum([p.astype(np.int64) for p in pooled(op, np.ones_like(x), 0)], 0)
        return divide_half_away(total, count)

    return compute


def _max_pool(op: Op, tensors: Tensors) -> Compute:
    lowest = LIMITS["int16"][0]
    return lambda x, *, shape: np.max(np.stack(pooled(op, x, lowest)), 0).astype(np.int64)


def _joined(op: Op, tensors: Tensors) -> Compute:
    require_one_scale(op, tensors)
    axis = op.attributes.axes[0]
    return lambda *inputs, shape: np.concatenate([x.astype(np.int64) for x in inputs], axis)


def _clamp(op: Op, tensors: Tensors) -> Compute:
    factor = multiplier_and_shift(_same_scale(op, tensors))
    return lambda x, *, shape: multiply_by_quantized(x.astype(np.int64), *factor)


def _leaky_relu(op: Op, tensors: Tensors) -> Compute:
    s_x, s_y, alpha = (
        F(scale_of(tensors[op.inputs[0]])),
        F(scale_of(tensors[op.output])),
        F(op.attributes.alpha),
    )
    above, below = (multiplier_and_shift(float(f)) for f in (s_x / s_y, s_x * alpha / s_y))

    def compute(x: Array, *, shape: tuple[int, ...]) -> Array:
        value = x.astype(np.int64)
        upper, lower = (multiply_by_quantized(value, *factor) for factor in (above, below))
        return np.where(value >= 0, upper, lower)

    return compute


def _absolute(op: Op, tensors: Tensors) -> Compute:
    s_x, s_y = F(scale_of(tensors[op.inputs[0]])), F(scale_of(tensors[op.output]))
    factor = multiplier_and_shift(float(s_x / s_y))
    same = s_x == s_y
    return lambda x, *, shape: (
        np.abs(x.astype(np.int64)) if same else multiply_by_quantized(np.abs(x.astype(np.int64)), *factor)
    )


def _quantize(op: Op, tensors: Tensors) -> Compute:
    x, y = tensors[op.inputs[0]], tensors[op.output]
    z_y = quant_of(y).zero_point
    if x.dtype == "float32":
        s_y = F(scale_of(y))
        return lambda given, *, shape: np.clip(half_away(given / s_y), -FAR, FAR).astype(np.int64) + z_y
    z_x, factor = quant_of(x).zero_point, multiplier_and_shift(_same_scale(op, tensors))
    return lambda given, *, shape: multiply_by_quantized(given.astype(np.int64) - z_x, *factor) + z_y


def _dequantize(op: Op, tensors: Tensors) -> Compute:
    scale = F(scale_of(tensors[op.inputs[0]]))
    return lambda x, *, shape: x.astype(F) * scale


def _table_curve(make: Maker) -> Maker:
    """An op whose output TFLite gives in units of 2**-15 always."""

    def checked(op: Op, tensors: Tensors) -> Compute:
        scale = scale_of(tensors[op.output])
        if scale != 2.0**-15:
            reason = f"gives numbers of 2**-15, and {op.output!r} has the scale {scale:g}"
            raise BadModel(f"op {op.name!r} ({op.kind})", reason, "convert the network again")
        return make(op, tensors)

    return checked


INT16: OpTable[Maker] = OpTable(
    "16-bit forward kernels",
    {
        **dict.fromkeys(WEIGHTED, _weighted),
        OpKind.BATCH_MATMUL: _batch_matmul,
        **dict.fromkeys((OpKind.ADD, OpKind.SUB), _add),
        OpKind.MUL: _multiply,
        OpKind.SQUARED_DIFFERENCE: _squared_difference,
        OpKind.MINIMUM: _chosen(np.minimum),
        OpKind.MAXIMUM: _chosen(np.maximum),
        **dict.fromkeys((OpKind.MEAN, OpKind.SUM), _reduced),
        **dict.fromkeys((OpKind.REDUCE_MAX, OpKind.REDUCE_MIN), _extreme),
        OpKind.AVERAGE_POOL_2D: _average_pool,
        OpKind.MAX_POOL_2D: _max_pool,
        OpKind.CONCATENATION: _joined,
        **dict.fromkeys((OpKind.RELU, OpKind.RELU6), _clamp),
        OpKind.LEAKY_RELU: _leaky_relu,
        OpKind.ABS: _absolute,
        OpKind.LOGISTIC: _table_curve(logistic),
        OpKind.TANH: _table_curve(tanh),
        OpKind.SOFTMAX: _table_curve(softmax),
        OpKind.QUANTIZE: _quantize,
        OpKind.DEQUANTIZE: _dequantize,
    },
    absent=dict.fromkeys(ANY_TYPE, "moves numbers of any type")
    | dict.fromkeys(
        (
            OpKind.DIV, OpKind.PRELU, OpKind.RELU_N1_TO_1, OpKind.RELU_0_TO_1, OpKind.HARD_SWISH, OpKind.ELU,
            OpKind.GELU, OpKind.CURVE, OpKind.SQRT, OpKind.RSQRT, OpKind.EXP, OpKind.LOG, OpKind.LOG_SOFTMAX,
            OpKind.L2_NORMALIZATION, OpKind.RESIZE_BILINEAR, OpKind.ARG_MAX,
        ),
        "has no 16-bit form in TFLite Micro",
    ),
    way_out="convert the network with 8-bit activations, without the 16x8 mode",
)  # fmt: skip
