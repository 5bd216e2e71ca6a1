"""From own measurements to a profile: the nearest one there is, moved as far as the rows say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import expm1

import numpy as np

from mcusim.core import BadData
from mcusim.mcu.cycles.band import Band
from mcusim.mcu.cycles.form import FLASH, Constant, op_form, weigh
from mcusim.mcu.cycles.hierarchy import Array, Constants
from mcusim.mcu.cycles.measurement import Measurement
from mcusim.mcu.cycles.nearest import Nearest, nearest
from mcusim.mcu.cycles.profile import Fitted, Profile
from mcusim.mcu.cycles.score import score, widening
from mcusim.mcu.cycles.shrunk import Shrunk, left_out, shrink
from mcusim.sections.kinds import Column, Headline, Notes, Section, Table
from mcusim.sections.shown import Shown

OP_COUNTS = ("macs", "float_macs", "outputs", "weight_bytes", "int_ops", "float_ops")
"""Counts that a single op's cycles are explained by, those of them that the rows fill in."""
LEAST_ROWS = 2
UNIT_STEP = 100.0
"""No core is so much slower or faster than the nearest profile; a unit is by 1,000."""
COLUMNS = (
    Column("row"), Column("cycles", "", "number"), Column("modelled", "", "number"),
    Column("before", "", "change"), Column("fitted", "", "change"), Column("left out", "", "change"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RowError:
    """One measurement with its relative errors: of the nearest profile, fitted, and left out."""

    row: Measurement
    modelled: float
    """Cycles, fitted."""
    before: float
    fitted: float
    held_out: float | None
    deviation: float
    """Standard deviation of the logarithm of the cycles modelled with its group left out (of the fit itself
    where no other group is left), widened as the band is."""


@dataclass(frozen=True, slots=True)
class Calibration(Shown):
    """A fitted profile and what it does to each row."""

    profile: Profile
    rows: tuple[RowError, ...]
    start: str
    """The profile that the rows moved."""

    def sections(self) -> list[Section]:
        """Return the errors of the fit, and those of each row."""
        f = self.profile.fitted
        said = (
            f"{f.rows} rows determine {f.constants:.1f} constants: "
            f"mean error {f.mean_error:.1%}, worst {f.worst_error:.1%}"
        )
        if f.held_out_mean_error is not None:
            said += (
                f"; left out: mean {f.held_out_mean_error:.1%}, worst {f.held_out_worst_error:.1%}, "
                f"{f.coverage:.0%} in the 90% band"
            )
        rows = [
            (e.row.name, round(e.row.cycles), round(e.modelled), e.before, e.fitted, e.held_out)
            for e in self.rows
        ]
        return [Headline(self.profile.name, said), Table(COLUMNS, rows), Notes((self.start,), quiet=True)]


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows that are fitted together: one kind of op, or whole networks."""

    rows: list[Measurement]
    form: tuple[Constant, ...]
    supposed: Constants
    kind: str = ""

    @property
    def counts(self) -> Array:
        return np.array([weigh(r.works, self.form, r.stall_per_byte) for r in self.rows])

    @property
    def cycles(self) -> Array:
        return np.array([r.cycles for r in self.rows])

    def stalls(self, start: Nearest) -> Array:
        rest = [0.0 if self.kind else sum(map(start.rest, r.works)) for r in self.rows]
        return np.array([r.sram_stalls for r in self.rows]) + rest


def calibration(
    rows: Sequence[Measurement],
    *,
    name: str,
    core: str,
    library: str,
    data: str,
    command: str,
    version: str,
    option: str,
) -> Calibration:
    """Fit a profile of one core to rows; see ``mcusim.calibrate``, which also reads them from a file."""
    strangers = {row.core for row in rows} - {core}
    if strangers:
        raise BadData(data, f"has rows of {', '.join(sorted(strangers))}", f"give rows of {core} only")
    if len(rows) < LEAST_ROWS:
        raise BadData(data, f"has {len(rows)} row", "give two at least: one cannot be checked by another")
    start = nearest(core, library, version)
    parts = _parts(rows, data, start)
    errors: list[RowError] = []
    pairs: list[tuple[float, float]] = []
    fits: list[Shrunk] = []
    for part in parts:
        counts, cycles, stalls = part.counts, part.cycles, part.stalls(start)
        found = shrink(counts, cycles, stalls, part.supposed)
        lefts = left_out(counts, cycles, stalls, part.supposed, [r.group for r in part.rows])
        before = counts @ np.exp(part.supposed.logs) + stalls
        for i, row in enumerate(part.rows):
            pair = lefts[i]
            modelled = found.constants.predict(counts[i]) + stalls[i]
            errors.append(RowError(
                row, float(modelled), float(before[i] / cycles[i] - 1), expm1(found.residuals[i]),
                None if pair is None else expm1(pair[0]),
                found.deviation(counts[i]) if pair is None else pair[1],
            ))  # fmt: skip
            if pair is not None:
                pairs.append(pair)
        fits.append(found)
    _check_units(data, errors, start)
    wide = widening(pairs)
    errors = [replace(error, deviation=wide * error.deviation) for error in errors]
    left = score([(residual, wide * deviation) for residual, deviation in pairs])
    fitted = Fitted(
        data=data, command=command, rows=len(errors), families=len({r.group for r in rows}),
        constants=sum(f.determined for f in fits), mean_error=_mean(errors),
        worst_error=max(abs(e.fitted) for e in errors), held_out="" if left is None else "group",
        held_out_mean_error=None if left is None else left.mean,
        held_out_90_error=None if left is None else left.ninety,
        held_out_worst_error=None if left is None else left.worst,
        coverage=None if left is None else left.coverage,
    )  # fmt: skip
    made = _moved(start, parts, fits)
    macs = [sum(work.macs for work in row.works) for row in rows]
    band = replace(made.band, widened=wide, least_macs=float(min(macs)), most_macs=float(max(1, *macs, 1)))
    made = replace(
        made, name=name, core=core, library=library, version=version, option=option, fitted=fitted,
        band=band, chips={}, file="",
        notes=(f"began at {start.profile.name}, {start.why}; what no row told stays as it was there",),
    )  # fmt: skip
    return Calibration(made, tuple(errors), made.notes[0])


def _check_units(data: str, errors: Sequence[RowError], start: Nearest) -> None:
    """Refuse rows that are as far from the nearest profile as a unit is from the next."""
    ratio = float(np.median([1 / (1 + error.before) for error in errors]))
    if not 1 / UNIT_STEP < ratio < UNIT_STEP:
        raise BadData(
            data, f"takes {ratio:.3g} times the cycles of {start.profile.name}: units mixed up by 1,000?",
            "check cycles, us, ms and MHz",
        )  # fmt: skip


def _mean(errors: Sequence[RowError]) -> float:
    return sum(abs(e.fitted) for e in errors) / len(errors)


def _parts(rows: Sequence[Measurement], data: str, start: Nearest) -> list[_Part]:
    single = [row for row in rows if len(row.works) == 1]
    if not single:
        return [_Part(list(rows), start.form, start.constants)]
    if len(single) < len(rows):
        raise BadData(data, "mixes single ops and whole networks", "calibrate them from two files")
    parts = []
    for kind in dict.fromkeys(row.works[0].kind for row in rows):
        own = [row for row in rows if row.works[0].kind == kind]
        counts = tuple(c for c in OP_COUNTS if any(getattr(row.works[0], c) for row in own))
        if not counts:
            raise BadData(data, f"{kind} rows have no {', '.join(OP_COUNTS)}", "fill them in")
        form = op_form(kind, counts, _supposed(kind, counts, start))
        logs = np.log([constant.cycles for constant in form])
        parts.append(_Part(own, form, Constants(logs, np.diag([c.spread**2 for c in form])), kind))
    return parts


def _supposed(kind: str, counts: Sequence[str], start: Nearest) -> dict[str, float]:
    """Return what a count of a kind costs in the nearest profile; an output brings its requantisation."""
    terms = start.profile.terms.get(kind) or start.profile.default
    found = {count: terms.get(count, 0.0) for count in counts}
    if "outputs" in found:
        found["outputs"] += terms.get("requants", 0.0)
    small = 0.1 * max(terms.get("macs", 0.0), terms.get("outputs", 0.0), 1.0)
    return {count: max(value, small) for count, value in found.items()}


def _moved(start: Nearest, parts: Sequence[_Part], fits: Sequence[Shrunk]) -> Profile:
    """Return the nearest profile with the constants that were fitted in place of its own."""
    old, terms = start.profile, {kind: dict(found) for kind, found in start.profile.terms.items()}
    constants = {name: tuple(weighed) for name, weighed in old.band.constants.items()}
    blocks: list[Array] = [start.constants.covariance]
    flash_stall = old.flash_stall
    kinds = list(old.calibrated)
    for part, found in zip(parts, fits, strict=True):
        values = dict(zip([c.name for c in part.form], np.exp(found.constants.logs), strict=True))
        if not part.kind:
            blocks = [found.constants.covariance]
            flash_stall = float(values.get(FLASH, flash_stall))
        else:
            terms[part.kind] = {}
            kinds.append(part.kind)
            constants = {
                name: tuple(term for term in weighed if term.rpartition(".")[0] != part.kind)
                for name, weighed in constants.items()
            }
            blocks.append(found.constants.covariance)
        for constant in part.form:
            for kind, counts in constant.weighs.items():
                for count in counts:
                    terms[kind][count] = float(values[constant.name])
            if part.kind:
                constants[constant.name] = tuple(
                    f"{kind}.{count}" for kind, counts in constant.weighs.items() for count in counts
                )
    band = Band(
        constants=constants, covariance=tuple(map(tuple, _diagonal(blocks).tolist())),
        noise=max(f.noise for f in fits), chip=old.band.chip, flash=old.band.flash,
    )  # fmt: skip
    return replace(
        old, terms=terms, band=band, calibrated=tuple(dict.fromkeys(kinds)), flash_stall=min(flash_stall, 4.0)
    )


def _diagonal(blocks: Sequence[Array]) -> Array:
    size = sum(len(block) for block in blocks)
    whole, at = np.zeros((size, size)), 0
    for block in blocks:
        whole[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return whole
