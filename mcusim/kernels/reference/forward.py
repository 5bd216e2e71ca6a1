"""Forward of every op, slowly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Op, OpKind, OpTable
from mcusim.graph.traits import UNARY, WEIGHTED
from mcusim.kernels.arrays import Array, Tensors, constant
from mcusim.kernels.reference import elementwise, normalise, pool, shape
from mcusim.kernels.reference.int16 import int16, is_int16
from mcusim.kernels.reference.moves import MOVES, move
from mcusim.kernels.reference.pairs import LOOKED_UP, pair
from mcusim.kernels.reference.product import batch_matmul
from mcusim.kernels.reference.rescale import INT32, rescale, store, wrap
from mcusim.kernels.reference.softmax import softmax
from mcusim.kernels.reference.unary import unary
from mcusim.kernels.reference.window import accumulate
from mcusim.kernels.scales import accumulator_factors, quant_of, rescaling

Kernel = Callable[..., None]


def forward(op: Op, tensors: Tensors, arithmetic: Arithmetic, *, frozen: bool = True) -> Kernel:
    """Return ``kernel(inputs, output, mask=None)``; see ``mcusim.kernels.forward.forward``."""
    if is_int16(op, tensors):
        return int16(op, tensors, arithmetic, frozen=frozen)
    return FORWARD.of(op)(op, tensors, arithmetic, frozen)


def _weighted(op: Op, tensors: Tensors, arithmetic: Arithmetic, frozen: bool) -> Kernel:
    if tensors[op.inputs[1]].dtype == "float32":
        return _float_fully_connected(op, tensors, frozen)
    z_x, z_w = quant_of(tensors[op.inputs[0]]).zero_point, quant_of(tensors[op.inputs[1]]).zero_point
    y = tensors[op.output]
    r = None
    if y.dtype == "int8":
        r = rescaling(accumulator_factors(op, tensors), quant_of(y).zero_point, op, arithmetic)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        x, weight, bias = parameters(op, tensors, inputs, frozen)
        acc = accumulate(op, x.astype(np.int64) - z_x, weight.astype(np.int64) - z_w)
        if bias is not None:
            acc = acc + bias.astype(np.int64)
        if r is not None:
            store(rescale(acc, r), r.low, r.high, output, mask)
        elif arithmetic is Arithmetic.FLOAT:
            output[...] = np.clip(acc, -INT32, INT32 - 1).astype(np.int32).reshape(output.shape)
        else:
            output[...] = wrap(acc).astype(np.int32).reshape(output.shape)

    return kernel


def parameters(
    op: Op, tensors: Tensors, inputs: tuple[Array, ...], frozen: bool
) -> tuple[Array, Array, Array | None]:
    """Return (x, weight, bias) of a weighted op from what a forward kernel is given."""
    if not frozen:
        return inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None
    bias = constant(op, tensors, 2) if op.bias is not None else None
    return inputs[0], constant(op, tensors, 1), bias


LANES = 16


def _float_fully_connected(op: Op, tensors: Tensors, frozen: bool) -> Kernel:
    """Y = x · Wᵀ + b in float32, in a fixed order: 16 interleaved partial sums, added pairwise."""

    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        x, weight, bias = parameters(op, tensors, inputs, frozen)
        count = weight.shape[1]
        x = x.reshape(-1, 1, count)
        partial = np.zeros((x.shape[0], weight.shape[0], LANES), np.float32)
        for start in range(0, count, LANES):
            products = x[:, :, start : start + LANES] * weight[None, :, start : start + LANES]
            partial[:, :, : products.shape[2]] += products
        while partial.shape[2] > 1:
            half = partial.shape[2] // 2
            partial = partial[:, :, :half] + partial[:, :, half:]
        total = partial[:, :, 0] if bias is None else partial[:, :, 0] + bias
        output[...] = clamp_float(op, total).reshape(output.shape)

    return kernel


def clamp_float(op: Op, values: Array) -> Array:
    """Apply the fused activation of a float32 op."""
    if op.attributes.clamp is None:
        return values
    low, high = op.attributes.clamp
    return np.clip(values, np.float32(low), np.float32(high))


def _plain(make: Callable[[Op, Tensors, Arithmetic], Kernel]) -> Callable[..., Kernel]:
    """Return the maker of an op without weights as one that is told whether they are frozen."""
    return lambda op, tensors, arithmetic, frozen: make(op, tensors, arithmetic)


FORWARD: OpTable[Callable[[Op, Tensors, Arithmetic, bool], Kernel]] = OpTable(
    "slow forward kernels",
    {
        **dict.fromkeys(WEIGHTED, _weighted),
        **dict.fromkeys(UNARY, _plain(unary)),
        **dict.fromkeys(LOOKED_UP, _plain(pair)),
        OpKind.ADD: _plain(elementwise.add),
        OpKind.SUB: _plain(elementwise.add),
        OpKind.MUL: _plain(elementwise.multiply),
        OpKind.QUANTIZE: _plain(elementwise.quantize),
        OpKind.DEQUANTIZE: _plain(elementwise.dequantize),
        OpKind.BATCH_MATMUL: _plain(batch_matmul),
        OpKind.LOG_SOFTMAX: _plain(normalise.log_softmax),
        OpKind.L2_NORMALIZATION: _plain(normalise.l2_normalization),
        OpKind.SUM: _plain(pool.total),
        **dict.fromkeys((OpKind.REDUCE_MAX, OpKind.REDUCE_MIN), _plain(pool.extreme)),
        OpKind.MEAN: _plain(pool.mean),
        OpKind.AVERAGE_POOL_2D: _plain(pool.average_pool),
        OpKind.MAX_POOL_2D: _plain(pool.max_pool),
        OpKind.SOFTMAX: _plain(softmax),
        OpKind.RESHAPE: _plain(shape.reshape),
        OpKind.PAD: _plain(shape.pad),
        OpKind.CONCATENATION: _plain(shape.concatenation),
        OpKind.TRANSPOSE: _plain(shape.transpose),
        **dict.fromkeys(MOVES, _plain(move)),
        OpKind.RESIZE_NEAREST_NEIGHBOR: _plain(shape.resize_nearest),
        OpKind.RESIZE_BILINEAR: _plain(shape.resize_bilinear),
        OpKind.ARG_MAX: _plain(shape.arg_max),
    },
)
