"""Tensors and their quantisation."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES = {"int8": 1, "uint8": 1, "int16": 2, "int32": 4, "int64": 8, "float32": 4, "bool": 1}
"""Element types a graph can hold, with their bytes an element."""
LIMITS = {
    "int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "int32": (-(2**31), 2**31 - 1),
}  # fmt: skip
"""The least and the largest number that a quantised tensor of each type can hold."""
QUANTISED = ("int8", "uint8", "int16")
"""Types of quantised activations."""


@dataclass(frozen=True, slots=True, eq=False)
class Quant:
    """Affine quantisation: real = scale * (q - zero_point).

    ``scale`` is of shape ``(1,)`` for one scale a tensor or ``(C,)`` for one scale a channel along
    ``axis``. It has the precision of its source, float32 in TFLite and float64 for the activations of
    the published tiny-training models: products of scales are taken in float64 and rounded once.
    ``zero_point`` is one integer: per-channel tensors are symmetric here, as in TFLite (zero point 0).
    """

    scale: NDArray[np.float32 | np.float64]
    zero_point: int = 0
    axis: int | None = None

    @classmethod
    def of(cls, scale: float, zero_point: int = 0) -> Quant:
        """Return a per-tensor quantisation."""
        return cls(np.array([scale], np.float32), int(zero_point))

    @property
    def per_channel(self) -> bool:
        """True if there is one scale a channel."""
        return self.axis is not None

    def same_as(self, other: Quant | None) -> bool:
        """True if both map integers to the same reals."""
        return (
            other is not None
            and self.zero_point == other.zero_point
            and self.axis == other.axis
            and np.array_equal(self.scale, other.scale)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A named tensor. Shapes carry a leading batch dimension of 1 for activations.

    Layouts are those of TFLite: activations NHWC, convolution weights OHWI ``(C_out, kh, kw, C_in)``,
    depthwise weights ``(1, kh, kw, C_out)``, fully connected weights ``(out, in)``, biases ``(C_out,)``.
    ``data`` holds the values of a constant and is ``None`` for an activation; it is read-only.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "int8"
    quant: Quant | None = None
    data: NDArray[np.generic] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a call, so that a copy in another process is as read-only as this one.

        Until Python 3.11.3 frozen dataclasses with slots had a ``__setstate__`` of their own, and no other.
        """
        return _copied, (self.name, self.shape, self.dtype, self.quant, self.data)

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes at batch 1."""
        return self.elements * DTYPES[self.dtype]

    def same_as(self, other: Tensor) -> bool:
        """True if both have the same name, shape, type, quantisation and values, bit for bit."""
        mine, theirs = self.data, other.data
        return (
            (self.name, self.shape, self.dtype) == (other.name, other.shape, other.dtype)
            and (self.quant is None if other.quant is None else other.quant.same_as(self.quant))
            and (mine is None) == (theirs is None)
            and (mine is None or theirs is None or mine.tobytes() == theirs.tobytes())
        )

    @property
    def constant(self) -> bool:
        """True if the tensor's values are part of the model."""
        return self.data is not None


def _copied(*values: Any) -> Tensor:
    copy = Tensor(*values)
    if copy.data is not None:
        copy.data.flags.writeable = False
    return copy
