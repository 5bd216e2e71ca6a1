"""Patterns of pixels: which positions of a saved input are kept for the weight gradient.

The weight gradient of a convolution is a sum over pixels. A pattern keeps some of them and scales the sum
by pixels / kept. Pattern-based pruning of activations is part of Dynamic Gradient Sparse Update
(arXiv 2503.17959); which patterns it used is not published, those here are the regular ones that a device
can walk with two counters.

A pattern moves from iteration to iteration. It is laid on the image cyclically, so that at every phase it
keeps the same number of pixels, and over all phases every pixel equally often: the mean of the scaled
sums over the phases is exactly the whole sum, for images of any size. The phase follows from the number
of the iteration by one multiplication, so it costs a device next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray

GOLDEN = 0x9E3779B1
"""2**32 / golden ratio, rounded to odd: its multiples modulo 2**32 fill the range evenly, and so does every
n-th of them, so that no period of a channel traversal meets only some of the phases."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Keeps every ``rows``-th row and every ``columns``-th column, or the dark squares of a checkerboard.

    Attributes:
        rows, columns: distances between kept rows and columns; both 2 for a checkerboard.
        checker: keep the pixels whose row and column are both kept or both not.
    """

    rows: int = 1
    columns: int = 1
    checker: bool = False

    def kept(self, height: int, width: int) -> int:
        """Return how many pixels of an image are kept, at every phase."""
        if self.checker:
            return -(-height * width // 2)
        return -(-height // self.rows) * -(-width // self.columns)

    @property
    def share(self) -> float:
        """Share of the pixels that are kept, in images much larger than the distances."""
        return 1 / (2 if self.checker else self.rows * self.columns)

    def phases(self, height: int, width: int) -> int:
        """Return how many places the pattern can take."""
        return prod(self.places(height, width))

    def phase(self, height: int, width: int, iteration: int) -> int:
        """Return the phase of an iteration."""
        return (iteration * GOLDEN % 2**32) * self.phases(height, width) >> 32

    def positions(self, height: int, width: int, phase: int) -> NDArray[np.int32]:
        """Return which pixels are kept: row * width + column, ascending, read-only."""
        return _positions(self, height, width, phase)

    def places(self, height: int, width: int) -> tuple[int, int]:
        """Return how many places there are along each dimension.

        Where the distance divides the size, shifting by the distance changes nothing.
        """
        down, across = (
            distance if size % distance == 0 else size
            for size, distance in ((height, self.rows), (width, self.columns))
        )
        # Shifting a checkerboard along one dimension of even size is all it can do.
        return (down, 1 if self.checker and height % 2 == 0 and width % 2 == 0 else across)


PATTERNS = {
    "whole": Pattern(),
    "checker": Pattern(2, 2, checker=True),
    **{f"row-{n}": Pattern(rows=n) for n in (2, 3, 4)},
    **{f"grid-{n}": Pattern(rows=n, columns=n) for n in (2, 3, 4)},
}
"""Every pixel; every second in a checkerboard; every n-th row; of every n-th row every n-th pixel."""


def thinner(name: str) -> tuple[str, ...]:
    """Return the name of the pattern that keeps the next smaller share of the pixels, if there is one."""
    fewer = [n for n, pattern in PATTERNS.items() if pattern.share < PATTERNS[name].share]
    return tuple(sorted(fewer, key=lambda n: -PATTERNS[n].share)[:1])


@lru_cache(maxsize=4096)
def _positions(chosen: Pattern, height: int, width: int, phase: int) -> NDArray[np.int32]:
    down, _ = chosen.places(height, width)
    rows = _on(height, chosen.rows, phase % down)
    columns = _on(width, chosen.columns, phase // down)
    kept = rows[:, None] == columns if chosen.checker else rows[:, None] & columns
    found = np.flatnonzero(kept).astype(np.int32)
    found.flags.writeable = False
    return found


def _on(size: int, distance: int, shift: int) -> NDArray[np.bool_]:
    """Return which indices lie on a cyclic raster of a distance, ``shift`` further."""
    on: NDArray[np.bool_] = (np.arange(size) - shift) % size % distance == 0
    return on
