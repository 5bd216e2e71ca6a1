"""Backward kernels of all ops.

A gradient is taken with respect to the quantised integers and stored as float32, int16 or int8: a stored
e means e * scale. Integer formats are storage only: rows are loaded, worked on in float32 in a fixed
order of summation, and rounded half to even, saturating at ±127 or ±32767, when they are stored.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcusim.graph import WEIGHTED, Arithmetic, Op, OpKind
from mcusim.kernels import reference
from mcusim.kernels.arrays import Stored, Tensors
from mcusim.kernels.compiled.grad_input import GradInput
from mcusim.kernels.compiled.grad_parameters import GradBias, GradWeight
from mcusim.kernels.compiled.grad_plain import PassOn
from mcusim.kernels.compiled.pool import Pool
from mcusim.kernels.compiled.prepared import Workspace
from mcusim.kernels.reference.plain import gradient_ratio

__all__ = ["Stored", "grad_bias", "grad_input", "grad_weight"]


def grad_input(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, index: int = 0, *, workspace: Workspace | None = None
) -> Callable[..., Stored]:
    """Return ``kernel(g_y, g_y_scale, mask, inputs, g_x, g_x_scale, accumulate) -> Stored``.

    The gradient with respect to activation input ``index``. The kernel's arguments:
        g_y: gradient of the output; g_y_scale: a power of two, 1.0 for float32.
        mask: the forward's mask bits, or ``None`` where the clamp never acts.
        inputs: ``(weight,)`` for weighted ops, both inputs for MUL, ``(x, y)`` for MAX_POOL_2D, ``(x,)``
            for HARD_SWISH, ``(y,)`` for LOGISTIC and SOFTMAX; otherwise unused.
        g_x: written; with ``accumulate`` added to. It may be ``g_y`` itself where the sizes are equal.

    Raises:
        BadModel: if the op has no gradient.
        BadArgument: by the kernel, if an array does not fit.
    """
    if op.kind in WEIGHTED:
        return GradInput(op, tensors, workspace)
    x, y = tensors[op.inputs[index]], tensors[op.output]
    if op.kind in (OpKind.ADD, OpKind.SUB) and x.shape == y.shape:
        ratio = gradient_ratio(op, tensors, index)
        return PassOn(op, -ratio if op.kind is OpKind.SUB and index == 1 else ratio)
    if op.kind is OpKind.RESHAPE:
        return PassOn(op, np.float32(1))
    if op.kind in (OpKind.QUANTIZE, OpKind.DEQUANTIZE, OpKind.RELU, OpKind.RELU6):
        return PassOn(op, gradient_ratio(op, tensors, 0))
    if op.kind is OpKind.MEAN and Pool.can(op, tensors):
        return PassOn(op, gradient_ratio(op, tensors, 0), spread=True)
    return reference.grad_input(op, tensors, arithmetic, index)


def grad_bias(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, *, workspace: Workspace | None = None
) -> Callable[..., None]:
    """Return ``kernel(g_y, g_y_scale, mask, out) -> None``; ``out`` is float32 of shape (C_out,)."""
    return GradBias(op, tensors, workspace)


def grad_weight(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, *, workspace: Workspace | None = None
) -> Callable[..., None]:
    """Return ``kernel(g_y, g_y_scale, mask, x, channels, out, positions=None) -> None``.

    The kernel's arguments:
        x: saved features of the n selected input channels: int8 (or float32) [N, H, W, n] or [N, n];
            with ``positions`` [N, kept, n].
        channels: int32 (n,), which they are.
        out: float32, one block a channel: [n, kh, kw, C_out], depthwise [n, kh, kw, multiplier],
            fully connected [n, out].
        positions: int32 (kept,), of a convolution's input of tensor shape [N, H, W, C]: which of its
            pixels were saved, row * W + column, ascending, in every image the same. Taps on all others
            are skipped, and the sums are multiplied by H * W / kept.

    Raises:
        BadArgument: by the kernel, if an array does not fit or a channel or pixel does not exist.
    """
    return GradWeight(op, tensors, workspace)
