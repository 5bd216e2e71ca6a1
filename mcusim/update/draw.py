"""Random draws that are a pure function of seed, stage and layer, and the same on every machine.

Only raw 64-bit words of numpy's PCG64 are used, whose stream is guaranteed never to change, unlike
the methods of ``numpy.random.Generator``; and only additions, products and comparisons after that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from itertools import count as numbers

import numpy as np
from numpy.typing import NDArray

WORD = 0xFFFFFFFF
MANY = 15
"""Draws of several subsets from which on it pays to compile: training makes many, a plan few."""
_drawn = numbers()


@lru_cache(maxsize=8)
def _compiled(wanted: tuple[tuple[int, int], ...]) -> Callable[[int, int], list[NDArray[np.int32]]]:
    from mcusim.kernels.compiled.draw import Subsets

    return Subsets(wanted)


def subsets(seed: int, stage: int, wanted: tuple[tuple[int, int], ...]) -> list[NDArray[np.int32]]:
    """Return ``Draws(seed, i, stage).subset(count, size)`` for every ``i`` and ``(count, size)``."""
    if next(_drawn) >= MANY and 0 <= seed <= WORD and 0 <= stage <= WORD:
        return _compiled(wanted)(seed, stage)
    return [Draws(seed, i, stage).subset(count, size) for i, (count, size) in enumerate(wanted)]


class Draws:
    """A stream of draws that belongs to one seed and one path of numbers, e.g. (stage, layer)."""

    def __init__(self, seed: int, *path: int) -> None:
        self._seed, self._path = seed, path

    @cached_property
    def _bits(self) -> np.random.PCG64:
        return np.random.PCG64(np.random.SeedSequence(self._seed, spawn_key=self._path))

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return ``count`` words of 64 random bits."""
        return np.asarray(self._bits.random_raw(count), np.uint64)

    def permutation(self, count: int) -> NDArray[np.int32]:
        """Return 0 .. count-1 in random order."""
        return np.argsort(self.words(count), kind="stable").astype(np.int32)

    def subset(self, count: int, size: int) -> NDArray[np.int32]:
        """Return ``size`` of 0 .. count-1, ascending, every subset equally likely."""
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
