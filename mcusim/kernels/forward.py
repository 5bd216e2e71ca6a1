"""Forward kernels of all ops, prepared from a network's constants."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mcusim.graph import Arithmetic, Op, OpKind, OpTable
from mcusim.graph.traits import BINARY, FILTERS, MOVES, POOLS, PRODUCTS, UNARY
from mcusim.kernels import reference
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.compiled.convolution import Convolution
from mcusim.kernels.compiled.depthwise import Depthwise
from mcusim.kernels.compiled.elementwise import BinaryRecord
from mcusim.kernels.compiled.fused_record import Learns
from mcusim.kernels.compiled.head import Dequantize, FloatFullyConnected
from mcusim.kernels.compiled.move import Move
from mcusim.kernels.compiled.pairs import Pairs
from mcusim.kernels.compiled.pool import Pool
from mcusim.kernels.compiled.prepared import ForwardKernel, Workspace
from mcusim.kernels.compiled.resize import Resize
from mcusim.kernels.compiled.softmax import FixedSoftmax
from mcusim.kernels.compiled.unary import Unary
from mcusim.kernels.executable import check_forward
from mcusim.kernels.reference.int16 import int16, is_int16
from mcusim.kernels.reference.pairs import LOOKED_UP
from mcusim.kernels.scales import rounds_once

Kernel = Callable[..., None]
Make = Callable[[Op, Tensors, Arithmetic, Learns, Workspace | None], Kernel]


def forward(
    op: Op,
    tensors: Tensors,
    arithmetic: Arithmetic,
    *,
    frozen: bool = True,
    fixed_weight: bool = False,
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
        fixed_weight: if not frozen, only the bias ever changes: the weights are those of ``tensors``.
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
    check_forward(op, tensors, arithmetic)
    if is_int16(op, tensors):
        return int16(op, tensors, arithmetic, frozen=frozen)
    learns = Learns.NOTHING if frozen else Learns.BIAS if fixed_weight else Learns.WEIGHT
    return FORWARD.of(op)(op, tensors, arithmetic, learns, workspace)


def bound(
    kernel: Kernel, inputs: tuple[Array, ...], output: Array, mask: Array | None = None
) -> Callable[[], Any]:
    """Return a forward kernel as a call without arguments on these arrays: the quickest to run often."""
    if isinstance(kernel, ForwardKernel):
        return kernel.call(inputs, output, mask)
    return partial(kernel, inputs, output, mask)


def _fully_connected(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, learns: Learns, workspace: Workspace | None
) -> Kernel:
    if tensors[op.inputs[1]].dtype == "float32":
        return FloatFullyConnected(op, tensors, learns is Learns.NOTHING)
    if rounds_once(op.kind, arithmetic) and tensors[op.output].dtype == "int8":
        return reference.forward(op, tensors, arithmetic, frozen=learns is Learns.NOTHING)
    return Convolution(op, tensors, arithmetic, learns, workspace)


def _mean(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, learns: Learns, workspace: Workspace | None
) -> Kernel:
    make = Pool if Pool.can(op, tensors) else reference.forward
    return make(op, tensors, arithmetic)


def _plain(make: Callable[[Op, Tensors, Arithmetic], Kernel]) -> Make:
    """Return the maker of an op without weights as one that is told of weights and workspace."""
    return lambda op, tensors, arithmetic, learns, workspace: make(op, tensors, arithmetic)


def _moved(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    return Move(op, tensors) if Move.can(op, tensors) else reference.forward(op, tensors, arithmetic)


def _softmax(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    fixed = arithmetic.fixed_point and tensors[op.inputs[0]].dtype == "int8"
    return FixedSoftmax(op, tensors) if fixed else reference.forward(op, tensors, arithmetic)


def _resized(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    return Resize(op, tensors) if Resize.can(op, tensors) else reference.forward(op, tensors, arithmetic)


_NUMPY = _plain(reference.forward)
"""Rarer ops are fast enough as their slow twins."""


def _filter(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, learns: Learns, workspace: Workspace | None
) -> Kernel:
    return reference.forward(op, tensors, arithmetic, frozen=learns is Learns.NOTHING)


_FEW = (
    OpKind.SUM, OpKind.REDUCE_MAX, OpKind.REDUCE_MIN, OpKind.LOG_SOFTMAX, OpKind.L2_NORMALIZATION,
    OpKind.ARG_MAX,
)  # fmt: skip
FORWARD: OpTable[Make] = OpTable(
    "forward kernels",
    {
        OpKind.CONV_2D: Convolution,
        OpKind.DEPTHWISE_CONV_2D: Depthwise,
        OpKind.FULLY_CONNECTED: _fully_connected,
        **dict.fromkeys(BINARY, _plain(BinaryRecord)),
        **dict.fromkeys(LOOKED_UP, _plain(Pairs)),
        **dict.fromkeys(UNARY, _plain(Unary)),
        **dict.fromkeys(POOLS, _plain(Pool)),
        OpKind.QUANTIZE: _plain(Unary),
        OpKind.DEQUANTIZE: _plain(lambda op, tensors, _: Dequantize(op, tensors)),
        OpKind.MEAN: _mean,
        **dict.fromkeys(FILTERS, _filter),
        **dict.fromkeys((*PRODUCTS, *_FEW, *MOVES), _NUMPY),
        OpKind.RESIZE_NEAREST_NEIGHBOR: _NUMPY,
        OpKind.RESIZE_BILINEAR: _plain(_resized),
        **dict.fromkeys((OpKind.RESHAPE, OpKind.PAD, OpKind.CONCATENATION, OpKind.TRANSPOSE), _plain(_moved)),
        OpKind.SOFTMAX: _plain(_softmax),
    },
)
