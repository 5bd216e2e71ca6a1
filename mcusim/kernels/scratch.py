"""Bytes an op needs on the device besides its inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from mcusim.graph import DTYPES, Op, OpKind, OpTable
from mcusim.graph.traits import BINARY, MOVES, PAIRS, POOLS, PRODUCTS, REDUCTIONS, RESIZES, UNARY
from mcusim.kernels.arrays import Tensors

What = Literal["forward", "grad_input"]
FLOAT_BYTES = 4


def scratch_bytes(op: Op, tensors: Tensors, what: What, *, in_place: bool = False) -> int:
    """Return the scratch bytes of one op, at batch 1.

    Losses, gradients of weights and biases, and updates need none: every sum runs in a register.

    | what | op | bytes | source or assumption |
    |---|---|---|---|
    | forward | k x k convolution | 2 * kh*kw*C_in * 2 | two int16 im2col columns, as in CMSIS-NN |
    | forward | pointwise convolution, fully connected | 0 | read in place |
    | forward | depthwise, not in place | 0 | |
    | forward | depthwise, ``in_place`` | (H + pads) * (W + pads) * size | one zero-padded channel plane |
    | forward | softmax | 4 * classes | one row of float32 exponentials |
    | forward | transposed convolution | 4 * outputs | int32 accumulators of all, as in TFLite Micro |
    | forward | transposed convolution, 16-bit | 0 | each output is summed by itself |
    | forward | others | 0 | element by element |
    | grad_input | pointwise convolution | 4 * C_out | gradients of the accumulators of a pixel |
    | grad_input | others | 0 | every sum runs in a register |

    Args:
        op: the op.
        tensors: the network's tensors; shapes are read from them.
        what: which kernel of the op.
        in_place: the forward of a depthwise convolution writes over its input.
    """
    if what == "forward":
        return FORWARD.of(op)(op, tensors, in_place)
    if what == "grad_input" and op.kind is OpKind.CONV_2D and _taps(op, tensors) == 1:
        return FLOAT_BYTES * tensors[op.inputs[1]].shape[0]
    return 0


def _taps(op: Op, tensors: Tensors) -> int:
    weight = tensors[op.inputs[1]]
    return 1 if op.kind is OpKind.FULLY_CONNECTED else weight.shape[1] * weight.shape[2]


def _columns(op: Op, tensors: Tensors, in_place: bool) -> int:
    taps = _taps(op, tensors)
    return 2 * taps * tensors[op.inputs[0]].shape[-1] * 2 if taps > 1 else 0


def _plane(op: Op, tensors: Tensors, in_place: bool) -> int:
    _, height, width, _ = tensors[op.inputs[0]].shape
    padding = op.attributes.padding
    size = DTYPES[tensors[op.inputs[0]].dtype]
    return (height + sum(padding[0])) * (width + sum(padding[1])) * size if in_place else 0


def _group_columns(op: Op, tensors: Tensors, in_place: bool) -> int:
    taps = _taps(op, tensors)
    return 2 * taps * tensors[op.inputs[1]].shape[-1] * 2 if taps > 1 else 0


def _accumulators(op: Op, tensors: Tensors, in_place: bool) -> int:
    return 4 * tensors[op.output].elements if tensors[op.output].dtype == "int8" else 0


def _row(op: Op, tensors: Tensors, in_place: bool) -> int:
    return FLOAT_BYTES * tensors[op.inputs[0]].shape[-1]


def _nothing(op: Op, tensors: Tensors, in_place: bool) -> int:
    return 0


FORWARD: OpTable[Callable[[Op, Tensors, bool], int]] = OpTable(
    "forward scratch",
    {
        OpKind.CONV_2D: _columns,
        OpKind.DEPTHWISE_CONV_2D: _plane,
        OpKind.FULLY_CONNECTED: _nothing,
        OpKind.GROUPED_CONV_2D: _group_columns,
        OpKind.TRANSPOSE_CONV: _accumulators,
        OpKind.SOFTMAX: _row,
        **dict.fromkeys((*REDUCTIONS, *PRODUCTS, OpKind.LOG_SOFTMAX, OpKind.L2_NORMALIZATION), _nothing),
        **dict.fromkeys((*BINARY, *PAIRS, *UNARY, *POOLS, *RESIZES), _nothing),
        **dict.fromkeys((OpKind.QUANTIZE, OpKind.DEQUANTIZE, OpKind.ARG_MAX), _nothing),
        **dict.fromkeys((*MOVES, OpKind.RESHAPE, OpKind.CONCATENATION), _nothing),
    },
)
