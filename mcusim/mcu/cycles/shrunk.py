"""Own rows refine constants that are supposed beforehand; few rows move them little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcusim.core.counted import counted
from mcusim.mcu.cycles.hierarchy import Array, Constants, most_probable

TAILS = 4.0
"""Degrees of freedom of Student's t: a wild row counts less than its square."""
SUPPOSED_NOISE = 0.03
SUPPOSED_ROWS = 3
"""The noise starts as if so many rows had shown ``SUPPOSED_NOISE``."""
ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Shrunk:
    """Constants after the rows, the noise of a row, and ln(predicted / measured) of each."""

    constants: Constants
    noise: float
    residuals: Array
    determined: float
    """How many constants the rows determined, each as far as they narrowed it."""

    def deviation(self, counts: Array) -> float:
        """Return the standard deviation of the logarithm of another row's cycles."""
        return float(np.hypot(self.constants.deviation(counts), self.noise))


def shrink(counts: Array, cycles: Array, stalls: Array, supposed: Constants) -> Shrunk:
    """Return the most probable constants.

    Args:
        counts: of each row, how much of each constant it takes, shape (rows, constants).
        cycles: measured, shape (rows,).
        stalls: cycles of each row that no constant explains, such as waits for SRAM, shape (rows,).
        supposed: constants before any row is seen.
    """
    measured = np.log(cycles)

    def residuals(at: Array) -> tuple[Array, Array]:
        parts = counts * np.exp(at)
        total = parts.sum(1) + stalls
        return np.log(total) - measured, parts / total[:, None]

    precision = np.asarray(np.linalg.inv(supposed.covariance), np.float64)
    noise = SUPPOSED_NOISE
    for _ in range(ROUNDS):
        at, covariance, r = most_probable(residuals, supposed.logs, precision, noise, TAILS)
        weight = (TAILS + 1) / (TAILS + (r / noise) ** 2)
        squares = SUPPOSED_ROWS * SUPPOSED_NOISE**2 + float(weight @ r**2)
        noise = float(np.sqrt(squares / (SUPPOSED_ROWS + len(r))))
    determined = float((1 - np.diag(covariance) / np.diag(supposed.covariance)).sum())
    return Shrunk(Constants(at, covariance), noise, r, determined)


def left_out(
    counts: Array, cycles: Array, stalls: Array, supposed: Constants, groups: Sequence[str]
) -> list[tuple[float, float] | None]:
    """Return each row's residual and standard deviation, its group left out; ``None`` if no row is left."""
    found: list[tuple[float, float] | None] = [None] * len(groups)
    for group in counted(dict.fromkeys(groups)):
        rest = np.array([name != group for name in groups])
        if not rest.any():
            continue
        fitted = shrink(counts[rest], cycles[rest], stalls[rest], supposed)
        for i in np.flatnonzero(~rest):
            predicted = fitted.constants.predict(counts[i]) + stalls[i]
            found[i] = float(np.log(predicted / cycles[i])), fitted.deviation(counts[i])
    return found
