"""Fitting a cycle model to measurements: non-negative, robust, with every row left out once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadData, MissingPackage
from mcusim.mcu.cycles.form import CycleForm, weigh
from mcusim.mcu.cycles.measurement import Measurement

Array = NDArray[np.float64]

ROWS_PER_CONSTANT = 3
"""A fit needs more rows than this many times its free constants."""
LARGEST_CONDITION = 300.0
"""Of the scaled design matrix; above it, two columns say the same."""
OUTLIER = 0.05
"""Relative error beyond which a row counts less than its square (soft L1)."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Fitted constants and speeds. ``errors`` are relative, in the order of the rows fitted."""

    form: CycleForm
    constants: dict[str, float]
    speeds: dict[str, float]
    """By core; 1 for the reference."""
    errors: tuple[float, ...]

    @property
    def free(self) -> int:
        """How many numbers were free."""
        return len(self.constants) + len(self.speeds) - 1

    def predict(self, row: Measurement) -> float | None:
        """Return the cycles of a row; ``None`` if its core's speed was not fitted."""
        speed = self.speeds.get(row.core)
        if speed is None:
            return None
        cost = sum(self.constants[c.name] * weigh(row.works, c.weighs) for c in self.form.constants)
        return speed * (cost + weigh(row.works, self.form.fixed)) + _stall(self.form, row)

    def terms(self, core: str) -> dict[str, dict[str, float]]:
        """Return the profile terms of a core: kind -> count -> cycles."""
        speed = self.speeds[core]
        terms: dict[str, dict[str, float]] = {
            kind: {count: speed * value for count, value in fixed.items()}
            for kind, fixed in self.form.fixed.items()
        }
        for constant in self.form.constants:
            for kind, counts in constant.weighs.items():
                own = terms.setdefault(kind, {})
                for count, factor in counts.items():
                    own[count] = own.get(count, 0.0) + speed * factor * self.constants[constant.name]
        return terms


def fit(rows: Sequence[Measurement], form: CycleForm, reference: str | None = None) -> Fit:
    """Fit a form to measurements.

    Args:
        rows: what was measured.
        form: the form of the model.
        reference: the core whose speed is 1; the first row's by default.

    Raises:
        BadData: if there are too few rows for the free constants, if a constant weighs nothing that
            was measured, or if two columns are collinear; names them.
        MissingPackage: if scipy is not installed.
    """
    return _fit(rows, form, reference, ROWS_PER_CONSTANT)


def _fit(rows: Sequence[Measurement], form: CycleForm, reference: str | None, per_constant: int) -> Fit:
    try:
        from scipy.optimize import least_squares, nnls
    except ImportError as error:
        raise MissingPackage("scipy", "mcusim calibrate", "calibrate") from error
    cores = _cores(rows, reference)
    columns, fixed, stall, cycles = _design(rows, form)
    core_of = np.array([cores.index(row.core) for row in rows])
    _check(form, columns / cycles[:, None], len(cores), per_constant)
    start, _ = nnls(columns / cycles[:, None], np.maximum(0.0, 1 - (fixed + stall) / cycles))
    scale = np.maximum(np.abs(start), 1e-3)
    count = len(form.constants)

    def residuals(x: Array) -> Array:
        speed = np.concatenate(([1.0], x[count:]))[core_of]
        predicted: Array = speed * (columns @ (x[:count] * scale) + fixed) + stall
        return predicted / cycles - 1

    found = least_squares(
        residuals, np.concatenate((np.maximum(start, 1e-6) / scale, np.full(len(cores) - 1, 0.8))),
        bounds=(0, np.inf), loss="soft_l1", f_scale=OUTLIER, xtol=1e-12, ftol=1e-12,
    )  # fmt: skip
    constants = {c.name: float(v * s) for c, v, s in zip(form.constants, found.x, scale, strict=False)}
    speeds = dict(zip(cores, [1.0, *map(float, found.x[count:])], strict=True))
    return Fit(form, constants, speeds, tuple(map(float, residuals(found.x))))


def held_out(
    rows: Sequence[Measurement],
    form: CycleForm,
    by: Callable[[Measurement], str],
    reference: str | None = None,
) -> list[float | None]:
    """Return each row's relative error when its group was left out of the fit.

    ``None`` where the rest says nothing about the row's core.

    Raises:
        BadData: as ``fit``.
    """
    errors: list[float | None] = [None] * len(rows)
    for group in dict.fromkeys(map(by, rows)):
        rest = [row for row in rows if by(row) != group]
        if not rest:
            continue
        home = reference if any(row.core == reference for row in rest) else None
        fitted = _fit(rest, form, home, per_constant=1)
        for i, row in enumerate(rows):
            predicted = fitted.predict(row) if by(row) == group else None
            if predicted is not None:
                errors[i] = predicted / row.cycles - 1
    return errors


def _cores(rows: Sequence[Measurement], reference: str | None) -> list[str]:
    cores = list(dict.fromkeys(row.core for row in rows))
    if reference in cores:
        cores.remove(reference)
        cores.insert(0, reference)
    return cores


def _design(rows: Sequence[Measurement], form: CycleForm) -> tuple[Array, Array, Array, Array]:
    columns = np.array([[weigh(row.works, c.weighs) for c in form.constants] for row in rows], float)
    fixed = np.array([weigh(row.works, form.fixed) for row in rows], float)
    stall = np.array([_stall(form, row) for row in rows], float)
    return (
        columns.reshape(len(rows), len(form.constants)),
        fixed,
        stall,
        np.array([r.cycles for r in rows], float),
    )


def _stall(form: CycleForm, row: Measurement) -> float:
    flash = form.flash_stall * row.stall_per_byte * sum(work.flash_read for work in row.works)
    return flash + row.sram_stalls


def _check(form: CycleForm, scaled: Array, cores: int, per_constant: int) -> None:
    free = len(form.constants) + cores - 1
    if len(scaled) <= per_constant * free:
        raise BadData(
            f"calibration of {form.name}",
            f"{len(scaled)} rows are too few for {free} free constants",
            f"measure at least {per_constant * free + 1} different rows",
        )
    lengths = np.linalg.norm(scaled, axis=0)
    for constant, length in zip(form.constants, lengths, strict=True):
        if length == 0:
            raise BadData(
                f"calibration of {form.name}",
                f"no row says anything about {constant.name}",
                "measure such ops",
            )
    unit = scaled / lengths
    if len(form.constants) > 1 and np.linalg.cond(unit) > LARGEST_CONDITION:
        similar = np.abs(unit.T @ unit) - np.eye(len(lengths))
        i, j = np.unravel_index(int(similar.argmax()), similar.shape)
        raise BadData(
            f"calibration of {form.name}",
            f"{form.constants[i].name} and {form.constants[j].name} are collinear in these rows",
            "measure ops of more different shapes, or leave one of them out",
        )
