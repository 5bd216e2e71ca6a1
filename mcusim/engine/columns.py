"""Input channels of a weight as contiguous blocks: (n, kh, kw, C_out), and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Op, OpKind

Array = NDArray[Any]


def gather(op: Op, weight: Array, channels: NDArray[np.int32], inputs: int) -> Array:
    """Return the blocks of ``channels``; ``inputs`` is the number of input channels of ``op``."""
    return np.ascontiguousarray(_columns(op, weight, inputs)[channels])


def scatter(op: Op, weight: Array, channels: NDArray[np.int32], inputs: int, blocks: Array) -> None:
    """Write the blocks of ``channels`` into ``weight``."""
    _columns(op, weight, inputs)[channels] = blocks


def _columns(op: Op, weight: Array, inputs: int) -> Array:
    """Return a view of ``weight`` with the input channel first."""
    if op.kind is OpKind.FULLY_CONNECTED:
        return weight.T
    if op.kind is OpKind.DEPTHWISE_CONV_2D:
        _, height, width, outputs = weight.shape
        return weight.reshape(height, width, inputs, outputs // inputs).transpose(2, 0, 1, 3)
    return weight.transpose(3, 1, 2, 0)
