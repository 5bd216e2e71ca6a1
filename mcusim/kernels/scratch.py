"""Bytes an op needs on the device besides its inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from mcusim.graph import Op, OpKind, OpTable
from mcusim.graph.traits import BINARY, POOLS, RESIZES, UNARY
from mcusim.kernels.arrays import Tensors

What = Literal["forward", "grad_input", "grad_bias", "grad_weight", "update"]
FLOAT_BYTES = 4


def scratch_bytes(
    op: Op, tensors: Tensors, what: What, *, in_place: bool = False, error: str = "float32"
) -> int:
    """Return the scratch bytes of one op, at batch 1.

    | what | op | bytes | source or assumption |
    |---|---|---|---|
    | forward | k x k convolution | 2 * kh*kw*C_in * 2 | two int16 im2col columns, as in CMSIS-NN |
    | forward | pointwise convolution, fully connected | 0 | read in place |
    | forward | depthwise, not in place | 0 | |
    | forward | depthwise, ``in_place`` | (H + pads) * (W + pads) | one zero-padded int8 channel plane |
    | forward | softmax | 4 * classes | one row of float32 exponentials |
    | forward | others | 0 | element by element |
    | grad_input | weighted | 4 * C_out; and 4 * C_in unless float32 | ga of a pixel; its unrounded sum |
    | grad_input | others | 0 | element by element |
    | grad_bias | weighted | 4 * C_out | one accumulator a channel |
    | grad_weight | convolution | 4 * kh*kw*C_out | the block of one selected input channel |
    | grad_weight | depthwise | 4 * kh*kw*multiplier | the same |
    | grad_weight | fully connected | 4 * C_out | the same |
    | update | all | 0 | applied element by element |

    Args:
        op: the op.
        tensors: the network's tensors; shapes are read from them.
        what: which kernel of the op.
        in_place: the forward of a depthwise convolution writes over its input.
        error: format of the error tensors: ``float32``, ``int16`` or ``int8``.
    """
    if what == "forward":
        return FORWARD.of(op)(op, tensors, in_place)
    if not op.traits.weighted or what == "update":
        return 0
    x, weight = tensors[op.inputs[0]], tensors[op.inputs[1]]
    depthwise = op.kind is OpKind.DEPTHWISE_CONV_2D
    outputs = weight.shape[op.traits.channel_axis]
    if what == "grad_input":
        return FLOAT_BYTES * (outputs + (x.shape[-1] if error != "float32" else 0))
    if what == "grad_bias":
        return FLOAT_BYTES * outputs
    return FLOAT_BYTES * _taps(op, tensors) * (outputs // x.shape[-1] if depthwise else outputs)


def _taps(op: Op, tensors: Tensors) -> int:
    weight = tensors[op.inputs[1]]
    return 1 if op.kind is OpKind.FULLY_CONNECTED else weight.shape[1] * weight.shape[2]


def _columns(op: Op, tensors: Tensors, in_place: bool) -> int:
    taps = _taps(op, tensors)
    return 2 * taps * tensors[op.inputs[0]].shape[-1] * 2 if taps > 1 else 0


def _plane(op: Op, tensors: Tensors, in_place: bool) -> int:
    _, height, width, _ = tensors[op.inputs[0]].shape
    padding = op.attributes.padding
    return (height + sum(padding[0])) * (width + sum(padding[1])) if in_place else 0


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
        OpKind.SOFTMAX: _row,
        **dict.fromkeys((*BINARY, *UNARY, *POOLS, *RESIZES), _nothing),
        **dict.fromkeys((OpKind.QUANTIZE, OpKind.DEQUANTIZE, OpKind.MEAN, OpKind.ARG_MAX), _nothing),
        **dict.fromkeys((OpKind.RESHAPE, OpKind.PAD, OpKind.CONCATENATION, OpKind.TRANSPOSE), _nothing),
    },
)
