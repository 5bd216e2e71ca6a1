"""Forward kernels of all ops, prepared from a network's constants."""

from __future__ import annotations

from collections.abc import Callable

from mcusim.core import BadModel
from mcusim.graph import WEIGHTED, Arithmetic, Op, OpKind
from mcusim.kernels import reference
from mcusim.kernels.arrays import Tensors
from mcusim.kernels.compiled.convolution import Convolution
from mcusim.kernels.compiled.depthwise import Depthwise
from mcusim.kernels.compiled.elementwise import Binary
from mcusim.kernels.compiled.head import Dequantize, FloatFullyConnected
from mcusim.kernels.compiled.pool import Pool
from mcusim.kernels.compiled.prepared import Workspace
from mcusim.kernels.compiled.unary import Unary

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
    """Return ``kernel(inputs, output, mask=None) -> None``.

    Args:
        op: what to compute. Batch and spatial sizes are read from the arrays, so one kernel serves
            whole images, batches and patches; padding is the op's.
        tensors: scales, zero points and, with ``frozen``, weights and biases.
        arithmetic: how accumulators are rescaled.
        frozen: weights and bias never change and are packed once; ``inputs`` are only the activations.
            Otherwise ``inputs`` are (x, weight, bias), read again at every call.
        workspace: host memory to share with other kernels of the same thread; own memory by default.

    The kernel's arguments are C-contiguous arrays: activations NHWC; ``mask`` is uint8 with one bit for
    every output element, little-endian, 1 where the value before the clamp lies inside it (batch 1). The
    output of a depthwise convolution may start where its input starts; that of an op on single elements
    may be an input. ``kernel.bind(output, mask, *inputs)``, where there is one, returns a call without
    arguments for fixed buffers.

    Raises:
        BadModel: if a scale or constant is missing, or the op's types are not supported.
        BadArgument: by the kernel, if an array does not fit.
    """
    if op.kind in WEIGHTED:
        return _weighted(op, tensors, arithmetic, frozen, workspace)
    if op.kind in (OpKind.ADD, OpKind.SUB, OpKind.MUL):
        return Binary(op, tensors, arithmetic)
    if op.kind in (OpKind.MEAN, OpKind.AVERAGE_POOL_2D, OpKind.MAX_POOL_2D) and Pool.can(op, tensors):
        return Pool(op, tensors, arithmetic)
    if op.kind in UNARY:
        return Unary(op, tensors, arithmetic)
    if op.kind is OpKind.DEQUANTIZE:
        return Dequantize(op, tensors)
    return reference.forward(op, tensors, arithmetic, frozen=frozen)


def _weighted(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, frozen: bool, workspace: Workspace | None
) -> Kernel:
    weight = tensors[op.inputs[1]].dtype
    if weight == "float32" and op.kind is OpKind.FULLY_CONNECTED:
        return FloatFullyConnected(op, tensors, frozen)
    if weight != "int8":
        raise BadModel(f"op {op.name!r} ({op.kind})", f"has {weight} weights", "quantise the network first")
    if op.kind is OpKind.DEPTHWISE_CONV_2D:
        return Depthwise(op, tensors, arithmetic, frozen, workspace)
    return Convolution(op, tensors, arithmetic, frozen, workspace)
