"""Small things about arrays that all kernels share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.graph import Op, Tensor

Array = NDArray[Any]
Tensors = Mapping[str, Tensor]


class StoreResult(NamedTuple):
    """What happened when a gradient was stored in its format.

    Attributes:
        saturated: elements that did not fit and were clamped.
        peak: the largest magnitude before rounding, in real units; 0.0 for float32 storage.
    """

    saturated: int
    peak: float


def constant(op: Op, tensors: Tensors, index: int) -> Array:
    """Return the data of a constant input of ``op``.

    Raises:
        BadModel: if that input is not constant.
    """
    data = tensors[op.inputs[index]].data
    if data is None:
        raise BadModel(f"op {op.name!r} ({op.kind})", f"its input {op.inputs[index]!r} must be constant")
    return data


def unpack(mask: NDArray[np.uint8] | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a bit mask (little-endian bit order) as booleans of ``shape``; all true for ``None``."""
    count = int(np.prod(shape))
    if mask is None:
        return np.ones(shape, np.bool_)
    return np.unpackbits(mask, count=count, bitorder="little").astype(np.bool_).reshape(shape)
