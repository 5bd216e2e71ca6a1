"""Input channels of a weight as contiguous blocks: (n, kh, kw, C_out), and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Op
from mcusim.kernels.columns import columns

Array = NDArray[Any]


def gather(op: Op, weight: Array, channels: NDArray[np.int32], inputs: int) -> Array:
    """Return the blocks of ``channels``; ``inputs`` is the number of input channels of ``op``."""
    return np.ascontiguousarray(columns(op, weight, inputs)[channels])


def scatter(op: Op, weight: Array, channels: NDArray[np.int32], inputs: int, blocks: Array) -> None:
    """Write the blocks of ``channels`` into ``weight``."""
    columns(op, weight, inputs)[channels] = blocks
