"""How good predictions were: mean, nine of ten, worst, and how many lay in the band."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import expm1, sqrt

import numpy as np

from mcusim.mcu.cycles.band import QUANTILE


@dataclass(frozen=True, slots=True)
class Score:
    """Relative errors of predictions, and the share of measurements in their bands."""

    rows: int
    mean: float
    ninety: float
    """Nine of ten errors are smaller."""
    worst: float
    coverage: float


SUPPOSED_ROWS = 4
"""As if so many rows had lain as far off as expected."""


def widening(residuals: Iterable[tuple[float, float]]) -> float:
    """Return by how much deviations are too small for residuals; 1 if they are not.

    Args:
        residuals: ln(predicted / measured) and its standard deviation, of each row left out.
    """
    squares = [(r / deviation) ** 2 for r, deviation in residuals]
    return max(1.0, sqrt((SUPPOSED_ROWS + sum(squares)) / (SUPPOSED_ROWS + len(squares))))


def score(residuals: Iterable[tuple[float, float]]) -> Score | None:
    """Return the score of predictions; ``None`` of none.

    Args:
        residuals: ln(predicted / measured) and its standard deviation, of each.
    """
    pairs = list(residuals)
    if not pairs:
        return None
    errors = np.abs([expm1(r) for r, _ in pairs])
    inside = [abs(r) <= QUANTILE * deviation for r, deviation in pairs]
    return Score(
        len(pairs), float(errors.mean()), float(np.quantile(errors, 0.9)), float(errors.max()),
        float(np.mean(inside)),
    )  # fmt: skip
