"""What a variant shows of a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WHOLE = 65536
"""A whole side of a picture, in the units of windows."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What is shown of N pictures: each is shifted, then mirrored, then cut to a window."""

    flip: NDArray[np.bool_]
    """``[N]``: mirror left and right, after shifting."""
    shift: NDArray[np.int64]
    """``[N, 2]``: pixel (y, x) is (y + dy, x + dx) of the picture; outside, the edge repeats."""
    side: NDArray[np.int64]
    """``[N]``: sides of the window, in 1/65536 of the picture's."""
    origin: NDArray[np.int64]
    """``[N, 2]``: top and left of the window, in 1/65536 of the picture's sides."""

    @classmethod
    def whole(cls, count: int) -> Placement:
        """Return pictures as they are."""
        pair = np.zeros((count, 2), np.int64)
        return cls(np.zeros(count, np.bool_), pair, np.full(count, WHOLE, np.int64), pair)

    @property
    def moves(self) -> bool:
        """True if more is to be done than mirroring."""
        return bool(self.shift.any() or (self.side != WHOLE).any())
