"""Backward kernels of all ops."""

from __future__ import annotations

from collections.abc import Callable

from mcusim.graph import WEIGHTED, Arithmetic, Op
from mcusim.kernels import reference
from mcusim.kernels.arrays import Stored, Tensors
from mcusim.kernels.grad_input import GradInput
from mcusim.kernels.grad_parameters import GradBias, GradWeight
from mcusim.kernels.prepared import Workspace


def grad_input(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, index: int = 0, *, workspace: Workspace | None = None
) -> Callable[..., Stored]:
    if op.kind in WEIGHTED:
        return GradInput(op, tensors, workspace)
    return reference.grad_input(op, tensors, arithmetic, index)


def grad_bias(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, *, workspace: Workspace | None = None
) -> Callable[..., None]:
    return GradBias(op, tensors, workspace)


def grad_weight(
    op: Op, tensors: Tensors, arithmetic: Arithmetic, *, workspace: Workspace | None = None
) -> Callable[..., None]:
    return GradWeight(op, tensors, workspace)
