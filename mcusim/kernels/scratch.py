"""Bytes an op needs on the device besides its inputs and outputs."""

from __future__ import annotations

from typing import Literal

from mcusim.graph import WEIGHTED, Op, OpKind
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
    if op.kind not in WEIGHTED:
        softmax = op.kind is OpKind.SOFTMAX and what == "forward"
        return FLOAT_BYTES * tensors[op.inputs[0]].shape[-1] if softmax else 0
    x, weight = tensors[op.inputs[0]], tensors[op.inputs[1]]
    depthwise = op.kind is OpKind.DEPTHWISE_CONV_2D
    outputs = weight.shape[3] if depthwise else weight.shape[0]
    taps = 1 if op.kind is OpKind.FULLY_CONNECTED else weight.shape[1] * weight.shape[2]
    match what:
        case "forward" if depthwise and in_place:
            return (x.shape[1] + sum(op.attributes.padding[0])) * (x.shape[2] + sum(op.attributes.padding[1]))
        case "forward":
            columns = 2 * taps * x.shape[-1] * 2
            return columns if op.kind is OpKind.CONV_2D and taps > 1 else 0
        case "grad_input":
            return FLOAT_BYTES * (outputs + (x.shape[-1] if error != "float32" else 0))
        case "grad_bias":
            return FLOAT_BYTES * outputs
        case "grad_weight":
            return FLOAT_BYTES * taps * (outputs // x.shape[-1] if depthwise else outputs)
        case "update":
            return 0
