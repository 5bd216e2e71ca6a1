"""Counts of element operations: one row an op for its forward pass, one for the gradient of its input.

Multiply-accumulates of weighted ops, and bytes, are the same rules for all, see ``mcusim.lowering.work``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from mcusim.graph import CONVOLUTIONS, WEIGHTED, Op, OpKind, OpTable, Tensor
from mcusim.graph.traits import CLAMPS, FILTERS, MOVES, PAIRS, RESIZES, UNARY
from mcusim.kernels.reference import GRADIENTS

Tensors = Mapping[str, Tensor]
Counts = tuple[int, int, int, int]
"""(macs, requants, int_ops, float_ops) of an op without weights."""


@lru_cache(maxsize=4096)
def _taps(
    size: int, kernel: int, stride: int, dilation: int, before: int, count: int
) -> tuple[int, int, int]:
    """Count along one dimension: (valid taps over all outputs, inputs touched, kernel positions used)."""
    inputs, positions, total = set(), set(), 0
    for output in range(count):
        for tap in range(kernel):
            i = output * stride - before + tap * dilation
            if 0 <= i < size:
                total += 1
                inputs.add(i)
                positions.add(tap)
    return total, len(inputs), len(positions)


def windows(op: Op, tensors: Tensors, kernel: tuple[int, int]) -> tuple[int, int, int]:
    """Count over the image: (valid taps, input pixels touched, window positions used)."""
    x, y, a = tensors[op.inputs[0]].shape, tensors[op.output].shape, op.attributes
    sides = [
        _taps(x[1 + i], kernel[i], a.stride[i], a.dilation[i], a.padding[i][0], y[1 + i]) for i in range(2)
    ]
    rows, columns = sides
    return rows[0] * columns[0], rows[1] * columns[1], rows[2] * columns[2]


def _pool(op: Op, tensors: Tensors) -> Counts:
    y = tensors[op.output]
    taps = windows(op, tensors, op.attributes.kernel)[0] * y.shape[-1]
    return 0, 0 if op.kind is OpKind.MAX_POOL_2D else y.elements, taps + 2 * y.elements, 0


def _mean(op: Op, tensors: Tensors) -> Counts:
    y = tensors[op.output].elements
    return 0, y, tensors[op.inputs[0]].elements + 2 * y, 0


def _reduced(op: Op, tensors: Tensors) -> Counts:
    return 0, 0, tensors[op.inputs[0]].elements, 0  # comparisons


def _filtered(op: Op, tensors: Tensors) -> Counts:
    """Convolutions in groups, or transposed: bias and clamp as of others."""
    x, weight, y = (tensors[name] for name in (op.inputs[0], op.inputs[1], op.output))
    if op.kind is OpKind.TRANSPOSE_CONV:
        met = scattered(op, x, weight, y)
    else:
        met = windows(op, tensors, (weight.shape[1], weight.shape[2]))[0]
    biased = y.elements if len(op.inputs) > 2 else 0
    return met * weight.shape[0] * weight.shape[3], y.elements, biased + 2 * y.elements, 0


def scattered(op: Op, x: Tensor, weight: Tensor, y: Tensor) -> int:
    """Count the taps of a transposed convolution that fall into the image."""
    a, total = op.attributes, 1
    for i in range(2):
        size, kernel, before = y.shape[1 + i], weight.shape[1 + i], a.padding[i][0]
        total *= _taps(size, kernel, a.stride[i], 1, before, x.shape[1 + i])[0]
    return total


def _product(op: Op, tensors: Tensors) -> Counts:
    y, x = tensors[op.output], tensors[op.inputs[0]]
    length = x.shape[-2 if op.attributes.adjoint[0] else -1]
    return y.elements * length, y.elements, 2 * y.elements, 0


def _rescaled(op: Op, tensors: Tensors) -> int:
    """Return how many input elements have another quantisation than the output."""
    quant = tensors[op.output].quant
    inputs = [tensors[name] for name in op.inputs]
    return sum(t.elements for t in inputs if t.quant is not None and not t.quant.same_as(quant))


def _quantize(op: Op, tensors: Tensors) -> Counts:
    count = tensors[op.output].elements
    return (
        (0, 0, 2 * count, 2 * count) if tensors[op.inputs[0]].dtype == "float32" else (0, count, 2 * count, 0)
    )


def _per_output(macs: int, requants: int, int_ops: int, float_ops: int) -> Callable[[Op, Tensors], Counts]:
    def count(op: Op, tensors: Tensors) -> Counts:
        n = tensors[op.output].elements
        return macs * n, requants * n, int_ops * n, float_ops * n

    return count


def _relu(op: Op, tensors: Tensors) -> Counts:
    return 0, _rescaled(op, tensors), 2 * tensors[op.output].elements, 0


_NOTHING = _per_output(0, 0, 0, 0)
"""Elements are moved at most."""
_LOOKED_UP = _per_output(0, 0, 1, 0)
"""A table of 256 entries."""

FORWARD: OpTable[Callable[[Op, Tensors], Counts]] = OpTable(
    "forward work",
    {
        # Two operands and the sum are rescaled; one addition, two comparisons of the clamp.
        OpKind.ADD: _per_output(0, 3, 3, 0),
        OpKind.SUB: _per_output(0, 3, 3, 0),
        OpKind.MUL: _per_output(0, 1, 3, 0),
        # A reciprocal by three steps of Newton's method: two products, a subtraction and an addition each.
        OpKind.DIV: _per_output(0, 2, 15, 0),
        OpKind.MINIMUM: _per_output(0, 0, 1, 0),
        OpKind.MAXIMUM: _per_output(0, 0, 1, 0),
        OpKind.SQUARED_DIFFERENCE: _per_output(0, 3, 4, 0),
        OpKind.PRELU: _per_output(0, 1, 4, 0),  # the sign, the product, two comparisons of the clamp
        **dict.fromkeys(FILTERS, _filtered),
        OpKind.BATCH_MATMUL: _product,
        **dict.fromkeys((OpKind.MEAN, OpKind.SUM), _mean),
        **dict.fromkeys((OpKind.REDUCE_MAX, OpKind.REDUCE_MIN), _reduced),
        # Maximum, difference and sum; the exponential is a product, the logarithm one a row.
        OpKind.LOG_SOFTMAX: _per_output(0, 2, 4, 0),
        OpKind.L2_NORMALIZATION: _per_output(1, 1, 3, 0),  # a square, a sum, a product and the clamp
        OpKind.AVERAGE_POOL_2D: _pool,
        OpKind.MAX_POOL_2D: _pool,
        OpKind.CONCATENATION: lambda op, tensors: (0, _rescaled(op, tensors), 0, 0),
        OpKind.QUANTIZE: _quantize,
        OpKind.DEQUANTIZE: _per_output(0, 0, 1, 1),
        **dict.fromkeys(CLAMPS, _relu),
        OpKind.LEAKY_RELU: _per_output(0, 1, 3, 0),  # the sign and two comparisons of the clamp
        OpKind.HARD_SWISH: _per_output(0, 3, 3, 0),
        OpKind.LOGISTIC: _LOOKED_UP,
        OpKind.TANH: _LOOKED_UP,
        OpKind.ELU: _LOOKED_UP,
        OpKind.GELU: _LOOKED_UP,
        OpKind.EXP: _LOOKED_UP,
        OpKind.LOG: _LOOKED_UP,
        OpKind.CURVE: _LOOKED_UP,
        OpKind.ABS: _per_output(0, 1, 3, 0),
        OpKind.SQRT: _per_output(0, 0, 3, 3),  # to real, the root, the quotient; LiteRT has no table for it
        # Five steps of Newton's method: three products, two sums each; two rescalings.
        OpKind.RSQRT: _per_output(0, 2, 25, 0),
        # Maximum, difference and sum are additions and comparisons; exponential and quotient rescale.
        OpKind.SOFTMAX: _per_output(0, 2, 3, 0),
        OpKind.RESIZE_NEAREST_NEIGHBOR: _NOTHING,
        OpKind.RESIZE_BILINEAR: _per_output(4, 1, 0, 0),
        **dict.fromkeys(MOVES, _NOTHING),
        OpKind.RESHAPE: _NOTHING,
        OpKind.ARG_MAX: lambda op, tensors: (0, 0, tensors[op.inputs[0]].elements, 0),
    },
    absent=dict.fromkeys((*CONVOLUTIONS, OpKind.FULLY_CONNECTED), "is counted by its multiply-accumulates"),
)


def _scaled(x: Tensor, y: Tensor) -> int:
    return y.elements  # by the constant derivative


def _shared(x: Tensor, y: Tensor) -> int:
    return y.elements + x.elements  # the share of every input


def _sloped(x: Tensor, y: Tensor) -> int:
    return y.elements + 2 * x.elements  # what was saved as a real value, its product


GRADIENT: OpTable[Callable[[Tensor, Tensor], int]] = OpTable(
    "gradient work",
    {
        **dict.fromkeys(WEIGHTED, _scaled),
        OpKind.ADD: _scaled,
        OpKind.SUB: _scaled,
        OpKind.MUL: _sloped,
        OpKind.DIV: _sloped,
        **dict.fromkeys(PAIRS, _sloped),
        **dict.fromkeys((OpKind.MEAN, OpKind.SUM), _shared),
        **dict.fromkeys((OpKind.REDUCE_MAX, OpKind.REDUCE_MIN), _sloped),
        OpKind.BATCH_MATMUL: _scaled,
        OpKind.AVERAGE_POOL_2D: _shared,
        OpKind.MAX_POOL_2D: _sloped,
        **dict.fromkeys(UNARY, _sloped),
        **dict.fromkeys(CLAMPS, _scaled),
        **dict.fromkeys((OpKind.SOFTMAX, OpKind.LOG_SOFTMAX, OpKind.L2_NORMALIZATION), _sloped),
        **dict.fromkeys((OpKind.QUANTIZE, OpKind.DEQUANTIZE), _scaled),
        **dict.fromkeys((*MOVES, OpKind.CONCATENATION, *RESIZES), _scaled),
        OpKind.RESHAPE: lambda x, y: 0,
    },
    absent=GRADIENTS.absent,
    way_out=GRADIENTS.way_out,
)
"""Float operations of an op's input gradient beside its multiply-accumulates, from input and output."""
