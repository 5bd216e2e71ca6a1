"""Weights seen one input channel at a time, which is how their gradients are computed and selected."""

from __future__ import annotations

from mcusim.graph import Op, OpKind
from mcusim.kernels.arrays import Array


def columns(op: Op, weight: Array, inputs: int) -> Array:
    """Return a view of a weight with the input channel first: (C_in, kh, kw, C_out).

    Depthwise: (C_in, kh, kw, multiplier); fully connected: (in, out). ``inputs`` is C_in.
    """
    if op.kind is OpKind.FULLY_CONNECTED:
        return weight.T
    if op.kind is OpKind.DEPTHWISE_CONV_2D:
        _, height, width, outputs = weight.shape
        return weight.reshape(height, width, inputs, outputs // inputs).transpose(2, 0, 1, 3)
    return weight.transpose(3, 1, 2, 0)
