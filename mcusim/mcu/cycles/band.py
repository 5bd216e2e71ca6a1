"""How far an estimate of cycles may be off: the 90 % band, and what widens it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, expm1, log, log1p, sqrt
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, MinLen

QUANTILE = 1.645
"""Standard deviations on either side of the value that hold 90 %."""
MODELLED = 0.4
"""Standard deviation of the logarithm of cycles that nobody measured: float work of a forward pass, kinds
that are modelled after others, and kernels of ours of which instructions were counted and the cycles of each
taken from manuals (up to 0.35 wide, ``mcu/cores``)."""
UNTOLD = 0.7
"""The same of kinds that a profile has no terms for, such as those of a backward pass, which cost a core's
default ones. Our own C kernels execute 1.1 to 3.4 times that in a whole backward pass (root mean square of
the logarithms of nine: 0.7), and the kernels of the one step that was published as much as that
(benchmarks/calibration, ``both_models.csv`` and ``training.csv``)."""
SIZE = 0.05
"""Added for every factor of e that work is larger or smaller than all that was fitted."""

Spread = Annotated[float, Ge(0), Le(5)]


@dataclass(frozen=True, slots=True)
class Band:
    """What is uncertain of a profile, as standard deviations and covariances of logarithms.

    A share of a constant in the cycles brings its share of that constant's uncertainty; so work of which
    the rows told little is wider, with nothing added by hand. What is added is stated: ``noise`` of any
    run, ``chip`` and ``flash`` on a board that no row ran on, ``MODELLED``, ``UNTOLD``, ``SIZE``.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}
    constants: Mapping[str, tuple[str, ...]]
    """Name of a constant -> the terms that are multiples of it, as ``kind.count``."""
    covariance: Annotated[tuple[tuple[float, ...], ...], MinLen(1)]
    """Of the logarithms of the constants, in their order."""
    noise: Spread
    widened: Annotated[float, Ge(1), Le(10)] = 1.0
    """How much further rows left out of this very profile lay than constants and noise let expect."""
    chip: Spread = 0.0
    flash: Spread = 0.0
    """The same for what the flash keeps the core waiting."""
    modelled: Spread = MODELLED
    """Of kinds with terms that nobody measured."""
    least_macs: Annotated[float, Ge(0)] = 0.0
    most_macs: Annotated[float, Gt(0)] = 1e15
    """Of the rows fitted."""

    def of_terms(self) -> dict[tuple[str, str], int]:
        """Return (kind, count) -> the place of its constant."""
        return {
            (kind, count): i
            for i, terms in enumerate(self.constants.values())
            for kind, _, count in (term.rpartition(".") for term in terms)
        }

    def deviation(
        self, cycles: Sequence[float], modelled: float, known_chip: bool, macs: float, untold: float = 0.0
    ) -> float:
        """Return the standard deviation of the logarithm of a sum of cycles.

        Args:
            cycles: that each constant brings, in their order.
            modelled: cycles of terms that nobody measured.
            known_chip: whether the rows ran on this very board.
            macs: integer multiply-accumulates of the whole.
            untold: cycles of kinds without terms of their own.
        """
        total = sum(cycles) + modelled + untold
        if not total:
            return self.noise
        share = [part / total for part in cycles]
        variance = sum(
            a * b * value
            for a, row in zip(share, self.covariance, strict=True)
            for b, value in zip(share, row, strict=True)
            if a and b
        )
        variance = self.widened**2 * (variance + self.noise**2)
        variance += _short(modelled / total, self.modelled) ** 2 + _short(untold / total, UNTOLD) ** 2
        if not known_chip:
            waiting = list(self.constants).index("flash") if "flash" in self.constants else None
            variance += self.chip**2 + (0.0 if waiting is None else (self.flash * share[waiting]) ** 2)
        if macs:
            outside = max(
                0.0, log(self.least_macs / macs) if self.least_macs else 0.0, log(macs / self.most_macs)
            )
            variance += (SIZE * outside) ** 2
        return sqrt(max(0.0, variance))


def _short(share: float, deviation: float) -> float:
    """Return by how much, in logarithms, a whole falls short where a share of it does by a deviation."""
    return log1p(share * expm1(deviation))


def ends(value: float, deviation: float) -> tuple[float, float]:
    """Return the ends of the 90 % band about a value."""
    factor = exp(QUANTILE * deviation)
    return value / factor, value * factor
