"""Backward kernels of all ops.

A gradient is taken with respect to the quantised integers and stored as float32, int16 or int8: a stored
e means e * scale. Integer formats are storage only: rows are loaded, worked on in float32 in a fixed
order of summation, and rounded half to even, saturating at ±127 or ±32767, when they are stored.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcusim.graph import WEIGHTED, Arithmetic, Op, OpKind, OpTable
from mcusim.graph.traits import CLAMPS, FILTERS, MOVES, POOLS, PRODUCTS, RESIZES, UNARY
from mcusim.kernels import reference
from mcusim.kernels.arrays import StoreResult, Tensors
from mcusim.kernels.compiled.grad_filters import GradFilter
from mcusim.kernels.compiled.grad_input import GradInput
from mcusim.kernels.compiled.grad_parameters import GradBias, GradWeight
from mcusim.kernels.compiled.grad_plain import PassOn
from mcusim.kernels.compiled.pool import Pool
from mcusim.kernels.compiled.prepared import Workspace
from mcusim.kernels.reference.pairs import LOOKED_UP
from mcusim.kernels.reference.plain import gradient_ratio

Kernel = Callable[..., StoreResult]

__all__ = ["GRADIENTS", "StoreResult", "grad_bias", "grad_input", "grad_weight"]


def grad_input(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, index: int = 0, *, fixed_weight: bool = False,
    workspace: Workspace | None = None,
) -> Callable[..., StoreResult]:  # fmt: skip
    """Return ``kernel(g_y, g_y_scale, mask, inputs, g_x, g_x_scale, accumulate) -> Stored``.

    The gradient with respect to activation input ``index``; with ``fixed_weight`` the weight given to the
    kernel is always that of ``tensors``. The kernel's arguments:
        g_y: gradient of the output; g_y_scale: a power of two, 1.0 for float32.
        mask: the forward's mask bits, or ``None`` where the clamp never acts.
        inputs: ``(weight,)`` for weighted ops; for others what their traits say they read: both inputs of
            MUL, ``(x, y)`` of MAX_POOL_2D, ``(x,)`` of HARD_SWISH, ``(y,)`` of SOFTMAX; otherwise unused.
        g_x: written; with ``accumulate`` added to. It may be ``g_y`` itself where the sizes are equal.

    Raises:
        BadModel: if the op has no gradient; says why.
        BadArgument: by the kernel, if an array does not fit.
    """
    if fixed_weight and op.traits.weighted and op.kind not in FILTERS:
        return GradInput(op, tensors, workspace, fixed_weight=True)
    return GRADIENTS.of(op)(op, tensors, arithmetic, index, workspace)


def grad_bias(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, *, workspace: Workspace | None = None
) -> GradBias:
    """Return ``kernel(g_y, g_y_scale, mask, out) -> None``; ``out`` is float32 of shape (C_out,)."""
    return GradBias(op, tensors, workspace)


def grad_weight(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, *, workspace: Workspace | None = None
) -> GradWeight | Callable[..., None]:
    """Return ``kernel(g_y, g_y_scale, mask, x, channels, out, positions=None) -> None``.

    The kernel's arguments:
        x: saved features of the n selected input channels: int8, int16 or float32 [N, H, W, n] or [N, n];
            with ``positions`` [N, kept, n].
        channels: int32 (n,), which they are.
        out: float32, one block a channel: [n, kh, kw, outputs that it meets]: all, of a depthwise op its
            multiplier, of groups those of one; fully connected [n, out].
        positions: int32 (kept,), of a convolution's input of tensor shape [N, H, W, C]: which of its
            pixels were saved, row * W + column, ascending, in every image the same. Taps on all others
            are skipped, and the sums are multiplied by H * W / kept.

    Raises:
        BadArgument: by the kernel, if an array does not fit or a channel or pixel does not exist.
    """
    if tensors[op.inputs[0]].dtype == "int16":
        return reference.grad_weight(op, tensors, arithmetic)
    return (GradFilter if op.kind in FILTERS else GradWeight)(op, tensors, workspace)


def _weighted(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, index: int, workspace: Workspace | None
) -> Kernel:
    return GradInput(op, tensors, workspace)


def _slow(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, index: int, workspace: Workspace | None
) -> Kernel:
    return reference.grad_input(op, tensors, arithmetic, index)


def _sum(op: Op, tensors: Tensors, arithmetic: Arithmetic, index: int, workspace: Workspace | None) -> Kernel:
    if tensors[op.inputs[index]].shape != tensors[op.output].shape:  # it was broadcast
        return reference.grad_input(op, tensors, arithmetic, index)
    ratio = gradient_ratio(op, tensors, index)
    return PassOn(op, -ratio if op.kind is OpKind.SUB and index == 1 else ratio)


def _scaled(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, index: int, workspace: Workspace | None
) -> Kernel:
    return PassOn(op, gradient_ratio(op, tensors, 0))


def _unscaled(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, index: int, workspace: Workspace | None
) -> Kernel:
    return PassOn(op, np.float32(1))


def _mean(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, index: int, workspace: Workspace | None
) -> Kernel:
    if not Pool.of_image(op, tensors):
        return reference.grad_input(op, tensors, arithmetic, index)
    return PassOn(op, gradient_ratio(op, tensors, 0), spread=True)


GRADIENTS: OpTable[Callable[[Op, Tensors, Arithmetic, int, Workspace | None], Kernel]] = OpTable(
    "gradients of inputs",
    {
        **dict.fromkeys(WEIGHTED, _weighted),
        **dict.fromkeys(UNARY, _slow),
        **dict.fromkeys(LOOKED_UP, _slow),
        **dict.fromkeys(CLAMPS, _scaled),
        OpKind.ADD: _sum,
        OpKind.SUB: _sum,
        OpKind.MUL: _slow,
        OpKind.QUANTIZE: _scaled,
        OpKind.DEQUANTIZE: _scaled,
        OpKind.RESHAPE: _unscaled,
        OpKind.MEAN: _mean,
        **dict.fromkeys((*FILTERS, *PRODUCTS, OpKind.SUM, OpKind.REDUCE_MAX, OpKind.REDUCE_MIN), _slow),
        **dict.fromkeys((OpKind.LOG_SOFTMAX, OpKind.L2_NORMALIZATION), _slow),
        **dict.fromkeys((*POOLS, *RESIZES), _slow),
        **dict.fromkeys((*MOVES, OpKind.CONCATENATION, OpKind.SOFTMAX), _slow),
    },
    absent=reference.GRADIENTS.absent,
    way_out=reference.GRADIENTS.way_out,
)
