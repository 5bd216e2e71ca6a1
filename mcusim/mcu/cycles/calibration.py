"""From a table of measurements to a profile, with the errors of both kinds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from mcusim.core import BadData
from mcusim.mcu.cycles.calibrate import Fit, fit, held_out
from mcusim.mcu.cycles.form import CycleForm, network_form, op_form
from mcusim.mcu.cycles.measurement import Measurement
from mcusim.mcu.cycles.profile import Fitted, Profile
from mcusim.mcu.default_terms import default_terms
from mcusim.sections.kinds import Column, Headline, Section, Table
from mcusim.sections.shown import Shown

OP_COUNTS = ("macs", "outputs", "weight_bytes")
"""Counts that a single op's cycles are explained by, those of them that the rows fill in."""
COLUMNS = (
    Column("row"), Column("cycles", "", "number"), Column("fitted", "", "change"),
    Column("left out", "", "change"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RowError:
    """One measurement with its relative error, fitted and left out."""

    row: Measurement
    fitted: float
    held_out: float | None


@dataclass(frozen=True, slots=True)
class Calibration(Shown):
    """A fitted profile and what it does to each row."""

    profile: Profile
    rows: tuple[RowError, ...]

    def sections(self) -> list[Section]:
        """Return the errors of the fit, and those of each row."""
        f = self.profile.fitted
        said = (
            f"{f.rows} rows, {f.constants} constants: "
            f"mean error {f.mean_error:.1%}, worst {f.worst_error:.1%}"
        )
        if f.held_out_mean_error is not None:
            said += f"; left out: mean {f.held_out_mean_error:.1%}, worst {f.held_out_worst_error:.1%}"
        rows = [(e.row.name, round(e.row.cycles), e.fitted, e.held_out) for e in self.rows]
        return [Headline(self.profile.name, said), Table(COLUMNS, rows)]


def calibration(
    rows: Sequence[Measurement],
    *,
    name: str,
    core: str,
    library: str,
    data: str,
    command: str,
    version: str,
    fully_connected: float,
) -> Calibration:
    """Fit a profile of one core to rows; see ``mcusim.calibrate``, which also reads them from a file."""
    strangers = {row.core for row in rows} - {core}
    if strangers:
        raise BadData(data, f"has rows of {', '.join(sorted(strangers))}", f"give rows of {core} only")
    parts = [
        (form, fit(own, form), own, held_out(own, form, lambda m: m.group))
        for form, own in _parts(rows, data, fully_connected)
    ]
    errors = [
        RowError(row, error, left)
        for _, whole, own, lefts in parts
        for row, error, left in zip(own, whole.errors, lefts, strict=True)
    ]
    default, source = default_terms(core)
    fits = [whole for _, whole, _, _ in parts]
    left = [e.held_out for e in errors if e.held_out is not None]
    fitted = Fitted(
        data=data, command=command, rows=len(errors), constants=sum(f.free for f in fits),
        mean_error=_mean(e.fitted for e in errors), worst_error=_worst(e.fitted for e in errors),
        held_out="group" if left else "", held_out_mean_error=_mean(left) if left else None,
        held_out_worst_error=_worst(left) if left else None,
    )  # fmt: skip
    profile = Profile(
        name=name, core=core, library=library, version=version, terms=_terms(fits, core), default=default,
        default_source=source, fitted=fitted, calibrated=tuple(k for f, *_ in parts for k in f.kinds),
        flash_stall=max(f.flash_stall for f, *_ in parts),
    )  # fmt: skip
    return Calibration(profile, tuple(errors))


def _parts(
    rows: Sequence[Measurement], data: str, fully_connected: float
) -> list[tuple[CycleForm, list[Measurement]]]:
    single = [row for row in rows if len(row.works) == 1]
    if not single:
        return [(network_form(fully_connected), list(rows))]
    if len(single) < len(rows):
        raise BadData(data, "mixes single ops and whole networks", "calibrate them from two files")
    kinds = dict.fromkeys(row.works[0].kind for row in rows)
    by_kind = {kind: [row for row in rows if row.works[0].kind == kind] for kind in kinds}
    return [(op_form(kind, _counts(own, data)), own) for kind, own in by_kind.items()]


def _counts(rows: list[Measurement], data: str) -> tuple[str, ...]:
    counts = tuple(c for c in OP_COUNTS if any(getattr(row.works[0], c) for row in rows))
    if not counts:
        raise BadData(data, f"{rows[0].works[0].kind} rows have no {', '.join(OP_COUNTS)}", "fill them in")
    return counts


def _terms(fits: Iterable[Fit], core: str) -> dict[str, dict[str, float]]:
    terms: dict[str, dict[str, float]] = {}
    for found in fits:
        terms |= found.terms(core)
    return terms


def _mean(errors: Iterable[float]) -> float:
    return fmean(map(abs, errors))


def _worst(errors: Iterable[float]) -> float:
    return max(map(abs, errors))
