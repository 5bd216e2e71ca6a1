"""Random variants of pictures: mirrored, shifted and zoomed, as a function of seed, epoch and index."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.data.counter import below
from mcusim.data.placement import WHOLE, Placement


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
    or 8 if pictures are shifted or zoomed."""
    zoom: float = 0.0
    """Largest part of each side that is cut away: a variant shows a window of 1 - zoom to 1 of the picture's
    sides, at a random place, stretched to the whole (as in Szegedy et al. 2015, aspect ratio kept)."""

    def __post_init__(self) -> None:
        if not 0 <= self.zoom <= 0.9:
            raise BadArgument(f"augmentation zoom={self.zoom}", "is out of range", "cut away 0 to 0.9")
        if not 0 <= self.shift <= 1024 or not 0 <= self.count <= 2**20:
            raise BadArgument(
                f"augmentation shift={self.shift}, count={self.count}",
                "is out of range",
                "shift by 0 to 1024 pixels, with 0 to 1,048,576 variants",
            )

    @property
    def variants(self) -> int:
        """Number of variants of each picture."""
        return self.count or (8 if self.shift or self.zoom else 1 + self.flip)

    def draw(self, index: NDArray[np.int64], epoch: int, seed: int) -> NDArray[np.int64]:
        """Return which variant of each picture an epoch shows."""
        return below(self.variants, seed, 1, epoch, index)

    def place(self, index: NDArray[np.int64], variant: NDArray[np.int64], seed: int) -> Placement:
        """Return where in the picture each of these variants looks."""
        flip = (variant % 2 == 1) if self.flip else np.zeros(len(index), np.bool_)
        axes = [below(2 * self.shift + 1, seed, 2, axis, index, variant) - self.shift for axis in (0, 1)]
        cut = below(int(self.zoom * WHOLE) + 1, seed, 3, index, variant)
        # Uniform in 0..cut, which no fixed limit gives: a share of it, rounded.
        share = [below(WHOLE + 1, seed, 4, axis, index, variant) for axis in (0, 1)]
        origin = np.stack([(cut * s + WHOLE // 2) // WHOLE for s in share], axis=1)
        return Placement(flip, np.stack(axes, axis=1), WHOLE - cut, origin)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data; no zoom, which every record from before there was one had, goes unsaid."""
        data = asdict(self)
        if not self.zoom:
            del data["zoom"]
        return data
