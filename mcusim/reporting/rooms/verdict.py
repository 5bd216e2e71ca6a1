"""The first lines of a page: each figure with its kind, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcusim.core import Figure, Provenance
from mcusim.explore.compare import candidate
from mcusim.planning.plan import Plan
from mcusim.reporting.course import Course
from mcusim.sections.kinds import Column, Table, digits, duration

COLUMNS = (Column("figure", kind="name"), Column("value"), Column("kind", kind="name"), Column("how sure"))
KINDS = {
    Provenance.EXACT: "counted", Provenance.MODELLED: "modelled", Provenance.CALIBRATED: "calibrated",
}  # fmt: skip
Row = tuple[str, str, str, str]


def verdict(plan: Plan, course: Course | None) -> Table:
    """Return memory, accuracy, time, energy and wear, in this order, as far as they are known."""
    rows: list[Row] = [("SRAM", plan.verdict, "counted", "every byte has a role")]
    spare = plan.flash.capacity_bytes - plan.flash.total_bytes
    said = f"{spare:,} B to spare" if spare >= 0 else f"{-spare:,} B missing"
    rows.append(("flash", said, "counted", "every constant has its sectors"))
    if course is not None:
        rows.append((course.metric.name, course.outcome, "measured", _examples(course)))
    cost = candidate(plan)
    if cost.step_ms is not None:
        rows.append(_figure("time a step", cost.step_ms))
    if cost.step_mj is not None:
        rows.append(_figure("energy a step", cost.step_mj))
    if course is not None:
        rows += _session(course.session)
    if cost.write_backs is not None:
        endurance = plan.board.flash.endurance_cycles
        sure = "" if endurance is None else f"from {endurance:,} erases a sector, of the board's file"
        rows.append(("wear", f"{cost.write_backs:,} write-backs until a sector is worn", "modelled", sure))
    return Table(COLUMNS, rows)


def _examples(course: Course) -> str:
    count = course.protocol.validation if course.protocol.reported == "validation" else course.protocol.test
    return f"on {count:,} {course.protocol.reported} examples"


def _figure(name: str, figure: Figure) -> Row:
    return name, f"{digits(figure.value)} {figure.unit}", KINDS[figure.provenance], figure.band.strip()


def _session(session: Mapping[str, Any]) -> list[Row]:
    rows: list[Row] = []
    if session["compute_s"] is not None:
        known = session["compute_s"]
        said = f"{duration(known['value'])} for {session['steps']:,} steps"
        rows.append(("time of the session", said, _kind(known), _band(known)))
    if session["energy_mj"] is not None:
        known = session["energy_mj"]
        rows.append(("energy of the session", f"{known['value'] / 1000:,.4g} J", _kind(known), _band(known)))
    return rows


def _kind(figure: Mapping[str, Any]) -> str:
    return KINDS[Provenance(figure["provenance"])]


def _band(figure: Mapping[str, Any]) -> str:
    told = {key: figure[key] for key in ("value", "unit", "source", "low", "high")}
    return Figure(provenance=Provenance(figure["provenance"]), **told).band.strip()
