"""Random draws that are a pure function of seed, stage and layer, and the same on every machine.

Only raw 64-bit words of numpy's PCG64 are used, whose stream is guaranteed never to change, unlike
the methods of ``numpy.random.Generator``; and only additions, products and comparisons after that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from itertools import count as numbers

import numpy as np
from numpy.typing import NDArray

WORD = 0xFFFFFFFF
MANY = 100
"""Subsets drawn from which on it pays to compile: training draws some in every step, a plan a few."""
_drawn = numbers()


@cache
def _compiled() -> Callable[[int, int, int, int, int], NDArray[np.int32]]:
    from mcusim.update.draw_core import subset

    return subset


def _words(*numbers: int) -> bool:
    """True if each is one word of 32 bits."""
    return min(numbers) >= 0 and max(numbers) <= WORD


class Draws:
    """A stream of draws that belongs to one seed and one path of numbers, e.g. (stage, layer)."""

    def __init__(self, seed: int, *path: int) -> None:
        self._seed, self._path, self._used = seed, path, 0

    @cached_property
    def _bits(self) -> np.random.PCG64:
        bits = np.random.PCG64(np.random.SeedSequence(self._seed, spawn_key=self._path))
        bits.advance(self._used)
        return bits

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return ``count`` words of 64 random bits."""
        words = np.asarray(self._bits.random_raw(count), np.uint64)
        self._used += count
        return words

    def permutation(self, count: int) -> NDArray[np.int32]:
        """Return 0 .. count-1 in random order."""
        return np.argsort(self.words(count), kind="stable").astype(np.int32)

    def subset(self, count: int, size: int) -> NDArray[np.int32]:
        """Return ``size`` of 0 .. count-1, ascending, every subset equally likely."""
        path = self._path
        if len(path) == 2 and not self._used and next(_drawn) >= MANY and _words(self._seed, *path):
            self._used = count
            return _compiled()(self._seed, *path, count, size)
        return np.sort(self.permutation(count)[:size])

    def weighted(self, weights: NDArray[np.float64], size: int) -> NDArray[np.int32]:
        """Return ``size`` different indices in the order drawn, each with probability by weight.

        Where fewer than ``size`` weights are positive, the rest is drawn uniformly from the others.
        """
        left = np.array(weights, np.float64)
        open_ = np.ones(left.size, bool)
        chosen = np.empty(size, np.int32)
        for i, word in enumerate(self.words(size)):
            sums = np.cumsum(left)
            if not sums[-1] > 0:
                left[open_] = 1.0
                sums = np.cumsum(left)
            point = (int(word) >> 11) * 2.0**-53 * sums[-1]
            pick = int(np.searchsorted(sums, point, side="right"))
            # Rounding may put the point on the last sum: then it means the last index still open.
            chosen[i] = pick = min(pick, int(np.flatnonzero(left)[-1]))
            left[pick] = 0.0
            open_[pick] = False
        return chosen
