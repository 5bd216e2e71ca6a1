"""Forward kernels of all ops, prepared from a network's constants."""

from __future__ import annotations

from collections.abc import Callable

from mcusim.graph import CONVOLUTIONS, Arithmetic, Op, OpKind
from mcusim.kernels import reference
from mcusim.kernels.arrays import Tensors
from mcusim.kernels.convolution import Convolution
from mcusim.kernels.depthwise import Depthwise
from mcusim.kernels.elementwise import Binary
from mcusim.kernels.head import Dequantize, FloatFullyConnected
from mcusim.kernels.pool import Pool
from mcusim.kernels.prepared import Workspace
from mcusim.kernels.unary import Unary

Kernel = Callable[..., None]
UNARY = (OpKind.RELU, OpKind.RELU6, OpKind.HARD_SWISH, OpKind.LOGISTIC, OpKind.QUANTIZE)


def forward(
    op: Op,
    tensors: Tensors,
    arithmetic: Arithmetic,
    *,
    frozen: bool = True,
    workspace: Workspace | None = None,
) -> Kernel:
    """Return ``kernel(inputs, output, mask=None)``."""
    if op.kind is OpKind.DEPTHWISE_CONV_2D:
        return Depthwise(op, tensors, arithmetic, frozen, workspace)
    if op.kind in (*CONVOLUTIONS, OpKind.FULLY_CONNECTED) and tensors[op.inputs[1]].dtype == "int8":
        return Convolution(op, tensors, arithmetic, frozen, workspace)
    if op.kind in (OpKind.ADD, OpKind.SUB, OpKind.MUL):
        return Binary(op, tensors, arithmetic)
    if op.kind in (OpKind.MEAN, OpKind.AVERAGE_POOL_2D, OpKind.MAX_POOL_2D) and Pool.can(op, tensors):
        return Pool(op, tensors, arithmetic)
    if op.kind in UNARY:
        return Unary(op, tensors, arithmetic)
    if op.kind is OpKind.DEQUANTIZE and tensors[op.inputs[0]].dtype == "int8":
        return Dequantize(op, tensors)
    if op.kind is OpKind.FULLY_CONNECTED:
        return FloatFullyConnected(op, tensors, frozen)
    return reference.forward(op, tensors, arithmetic, frozen=frozen)
