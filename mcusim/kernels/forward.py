"""Forward kernels of all ops, prepared from a network's constants."""

from __future__ import annotations

from collections.abc import Callable

from mcusim.graph import CONVOLUTIONS, Arithmetic, Op, OpKind
from mcusim.kernels import reference
from mcusim.kernels.arrays import Tensors
from mcusim.kernels.convolution import Convolution
from mcusim.kernels.depthwise import Depthwise
from mcusim.kernels.prepared import Workspace

Kernel = Callable[..., None]


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
    return reference.forward(op, tensors, arithmetic, frozen=frozen)
