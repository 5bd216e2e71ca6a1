"""Ops that move elements without changing them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Op, OpKind
from mcusim.kernels.arrays import Array, Tensors

Kernel = Callable[..., None]


def _reshape(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    def kernel(inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None) -> None:
        output[...] = inputs[0].reshape(output.shape)

    return kernel


KERNELS: dict[OpKind, Callable[[Op, Tensors, Arithmetic], Kernel]] = {
    OpKind.RESHAPE: _reshape,
}
