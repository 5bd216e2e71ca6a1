"""Constants that libraries, versions, cores and chips share: a fit in logarithms, most probable values.

A constant of one library on one core is a product of effects: what is supposed of the constant, times what
the library does to it, what each version up to this one did, what the core does, how the library and its
versions suit the core, what the chip does.
Each effect is 1 before rows are seen, uncertain by its spread, and shared by all rows that it names. So
few rows move little, and what no row tells stays as uncertain as it was supposed.

With residuals r = ln(predicted / measured) the most probable effects minimise
sum r^2 / noise^2 + sum (effect - supposed)^2 / spread^2; Gauss-Newton steps, and the inverse of the last
Hessian as covariance (Laplace's approximation).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcusim.mcu.cycles.form import FLASH, Constant

Array = NDArray[np.float64]
Effect = tuple[object, float]
"""What shares it, and its spread."""
STEPS = 60
RELAX = 0.6
"""Part of a Gauss-Newton step that is taken: whole ones overshoot by up to 1.8 where parts trade shares."""
CLOSE = 1e-4
"""The search stops when no effect would move by more."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows come from: what their constants share."""

    library: str
    versions: tuple[str, ...]
    """All versions up to the one that ran, oldest first."""
    core: str
    chip: str


@dataclass(frozen=True, slots=True)
class Spreads:
    """How far effects are supposed to reach, as standard deviations of logarithms.

    Chosen by the evidence of all rows (their probability before anything is fitted, see ``Posterior``),
    never by errors on rows left out; benchmarks/calibration/evidence.csv shows each against its like.
    """

    library: float = 0.2
    library_speed: float = 0.4
    version: float = 0.08
    version_speed: float = 0.13
    core: float = 0.03
    core_speed: float = 1.0
    core_of_library: float = 0.069
    core_of_version: float = 0.03
    core_of_version_speed: float = 0.039
    chip_speed: float = 0.061
    chip_flash: float = 0.8
    noise: float = 0.041
    """Of one row about its most probable value."""

    def effects(self, constant: Constant, origin: Origin) -> list[Effect]:
        """Return the effects whose sum is the logarithm of a constant of some origin."""
        name, library, core = constant.name, origin.library, origin.core
        own: Effect = (("constant", name), constant.spread)
        if name == FLASH:  # a matter of the chip, not of kernels
            return [own, (("chip flash", origin.chip), self.chip_flash)]
        found = [
            own,
            (("library", library, name), self.library),
            (("library speed", library), self.library_speed),
            (("core", core, name), self.core),
            (("core speed", core), self.core_speed),
            (("core of library", library, core, name), self.core_of_library),
            (("core of version speed", library, origin.versions[-1], core), self.core_of_version_speed),
            (("chip speed", origin.chip), self.chip_speed),
        ]
        for version in origin.versions:
            found.append((("version", library, version, name), self.version))
            found.append((("version speed", library, version), self.version_speed))
            found.append((("core of version", library, version, core, name), self.core_of_version))
        return found


@dataclass(frozen=True, slots=True)
class Observation:
    """How much of each constant a run took, where it ran, and its cycles."""

    origin: Origin
    counts: Array
    cycles: float


@dataclass(frozen=True, slots=True)
class Constants:
    """The constants of one origin: their logarithms, most probable, with their covariance."""

    logs: Array
    covariance: Array

    def predict(self, counts: Array) -> float:
        """Return the cycles of a run."""
        return float(counts @ np.exp(self.logs))

    def deviation(self, counts: Array) -> float:
        """Return the standard deviation of the logarithm of those cycles, noise left out."""
        shares = counts * np.exp(self.logs)
        shares /= shares.sum()
        return float(np.sqrt(shares @ self.covariance @ shares))


@dataclass(frozen=True, slots=True)
class Posterior:
    """What rows and suppositions together say of every origin, named in the rows or not."""

    form: tuple[Constant, ...]
    spreads: Spreads
    effects: dict[object, int]
    values: Array
    covariance: Array
    residuals: Array
    """ln(predicted / measured) of each row."""
    evidence: float
    """Logarithm of the probability of the rows, up to a constant."""

    def constants(self, origin: Origin) -> Constants:
        """Return the constants of an origin. Effects no row named are 1, as uncertain as supposed."""
        known = np.zeros((len(self.form), len(self.values)))
        logs = np.array([np.log(constant.cycles) for constant in self.form])
        unknown: dict[object, tuple[float, Array]] = {}
        for k, constant in enumerate(self.form):
            for key, spread in self.spreads.effects(constant, origin):
                if key in self.effects:
                    known[k, self.effects[key]] += 1
                else:
                    unknown.setdefault(key, (spread, np.zeros(len(self.form))))[1][k] += 1
        covariance = known @ self.covariance @ known.T
        for spread, where in unknown.values():
            covariance += spread**2 * np.outer(where, where)
        return Constants(logs + known @ self.values, covariance)


def fit(rows: Sequence[Observation], form: tuple[Constant, ...], spreads: Spreads) -> Posterior:
    """Return the most probable effects.

    Args:
        rows: what was measured.
        form: the constants of the model, in the order of the rows' counts.
        spreads: how far effects are supposed to reach.
    """
    effects: dict[object, int] = {}
    sizes: list[float] = []
    where: list[tuple[int, int, int]] = []
    for i, row in enumerate(rows):
        for k, constant in enumerate(form):
            for key, spread in spreads.effects(constant, row.origin):
                if key not in effects:
                    effects[key] = len(sizes)
                    sizes.append(spread)
                where.append((i, k, effects[key]))
    design = np.zeros((len(rows), len(form), len(sizes)))
    design[tuple(np.array(where).T)] = 1
    size, noise = np.array(sizes), spreads.noise
    counts = np.array([row.counts * [c.cycles for c in form] for row in rows])
    measured = np.log([row.cycles for row in rows])
    values, covariance, residuals = most_probable(
        lambda at: _predicted(at, counts, design, measured), np.zeros(len(size)), np.diag(size**-2.0), noise
    )
    evidence = -(
        (residuals / noise) @ (residuals / noise) + (values / size) @ (values / size)
        + 2 * len(rows) * np.log(noise) + 2 * np.log(size).sum() - np.linalg.slogdet(covariance)[1]
    ) / 2  # fmt: skip
    return Posterior(form, spreads, effects, values, covariance, residuals, float(evidence))


def _predicted(at: Array, counts: Array, design: Array, measured: Array) -> tuple[Array, Array]:
    """Return the residuals at some effects, and their Jacobian."""
    parts = counts * np.exp(design @ at)
    total = parts.sum(1)
    return np.log(total) - measured, np.einsum("rk,rkp->rp", parts / total[:, None], design)


def most_probable(
    residuals: Callable[[Array], tuple[Array, Array]],
    supposed: Array,
    precision: Array,
    noise: float,
    tails: float | None = None,
) -> tuple[Array, Array, Array]:
    """Return the most probable parameters, their covariance, and the residuals there.

    Args:
        residuals: residuals and Jacobian at some parameters.
        supposed: the parameters before any row is seen.
        precision: the inverse of their covariance.
        noise: standard deviation of a residual.
        tails: degrees of freedom of Student's t, if wild rows are to count less; normal if ``None``.
    """
    at = supposed
    for _ in range(STEPS):
        r, jacobian = residuals(at)
        weight = _weights(r / noise, tails) / noise**2
        hessian = (jacobian.T * weight) @ jacobian + precision
        step = np.linalg.solve(hessian, (jacobian.T * weight) @ r + precision @ (at - supposed))
        most = float(np.abs(step).max())
        at = at - RELAX * step / max(1.0, most)
        if most < CLOSE:
            break
    r, jacobian = residuals(at)
    weight = _weights(r / noise, tails) / noise**2
    covariance = np.asarray(np.linalg.inv((jacobian.T * weight) @ jacobian + precision), np.float64)
    return at, covariance, r


def _weights(deviations: Array, tails: float | None) -> Array:
    return np.ones(len(deviations)) if tails is None else (tails + 1) / (tails + deviations**2)
