"""Random variants of pictures: mirrored and shifted, as a function of seed, epoch and index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.data.counter import below


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What may happen to a training picture.

    Every picture has ``variants`` fixed variants, numbered from 0; an epoch draws one of them for each
    picture. With few variants, what a frozen front computes from them can be kept and used again.
    """

    flip: bool = False
    """Mirror left and right, for half of the variants."""
    shift: int = 0
    """Largest displacement in pixels of the stored picture, each axis; edges are repeated.
    Equal to padding by as much and cropping at random."""
    count: int = 0
    """Number of variants of each picture; 0 means as few as tell the mirrored from the plain ones,
    or 8 if pictures are shifted."""

    def __post_init__(self) -> None:
        if not 0 <= self.shift <= 1024 or not 0 <= self.count <= 2**20:
            raise BadArgument(
                f"augmentation shift={self.shift}, count={self.count}",
                "is out of range",
                "shift by 0 to 1024 pixels, with 0 to 1,048,576 variants",
            )

    @property
    def variants(self) -> int:
        """Number of variants of each picture."""
        return self.count or (8 if self.shift else 1 + self.flip)

    def draw(self, index: NDArray[np.int64], epoch: int, seed: int) -> NDArray[np.int64]:
        """Return which variant of each picture an epoch shows."""
        return below(self.variants, seed, 1, epoch, index)

    def moves(
        self, index: NDArray[np.int64], variant: NDArray[np.int64], seed: int
    ) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
        """Return what the variants are: mirrored or not ``[n]``, and shift in pixels ``[n, 2]``."""
        flip = (variant % 2 == 1) if self.flip else np.zeros(len(index), np.bool_)
        axes = [below(2 * self.shift + 1, seed, 2, axis, index, variant) - self.shift for axis in (0, 1)]
        return flip, np.stack(axes, axis=1).astype(np.int32)
