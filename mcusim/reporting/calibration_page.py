"""The page of a calibration: measured beside modelled op by op, and how far each row was missed."""

from __future__ import annotations

from math import expm1, log10

from mcusim.mcu.cycles.band import QUANTILE
from mcusim.mcu.cycles.calibration import Calibration, RowError
from mcusim.reporting.document import Room, document
from mcusim.reporting.rooms.charts import Mark, Trend, mark_chart, trend_chart
from mcusim.reporting.rooms.origin import versions
from mcusim.sections.html import body
from mcusim.sections.kinds import Column, Command, Facts, Headline, Notes, Section, Table, digits


def calibration_page(found: Calibration, *, command: str = "") -> str:
    """Return a whole HTML document about a calibration.

    Args:
        found: the profile with its rows.
        command: what made the page, to be repeated.
    """
    sections = found.sections()
    head = next(s for s in sections if isinstance(s, Headline))
    note = Notes(
        ("Bars: the 90 % band of a row whose group was left out; it should reach 0 in nine of ten.",),
        quiet=True,
    )
    terms = Table(
        (Column("kind", kind="name"), Column("count", kind="name"), Column("cycles each", kind="number")),
        [
            (kind, count, value)
            for kind, counts in [*found.profile.terms.items(), ("all others", found.profile.default)]
            for count, value in counts.items()
        ],
    )
    origin: list[Section] = [Facts([("rows", found.profile.fitted.data), *versions()])]
    if command:
        origin.append(Command(command, "the command:"))
    rooms = [
        Room(
            "measured",
            "Measured beside modelled",
            f'<div class="charts">{_charts(found)}</div>{body([note])}',
        ),
        Room("rows", "Every row", body([s for s in sections if s is not head])),
        Room("terms", "The profile", body([terms])),
        Room("origin", "To repeat it", body(origin)),
    ]
    return document(head.title, body([Headline("", head.verdict)]), rooms)


def _charts(found: Calibration) -> str:
    names = (
        ("measured", [row.row.cycles for row in found.rows]),
        ("modelled", [r.modelled for r in found.rows]),
    )
    trends = [
        Trend(name, [(float(i), log10(v)) for i, v in enumerate(values)], _powers) for name, values in names
    ]
    marks = [
        Mark(log10(row.row.cycles), _error(row), _tip(row), expm1(QUANTILE * row.deviation))
        for row in found.rows
    ]
    label = f"error of the model over measured cycles: {len(marks)} rows"
    return trend_chart("cycles, row by row", trends, "row") + mark_chart(
        "error of the model", marks, "measured cycles", (_powers, lambda value: f"{value:+.0%}"), label=label
    )


def _error(row: RowError) -> float:
    return row.fitted if row.held_out is None else row.held_out


def _powers(value: float) -> str:
    return digits(10**value)


def _tip(row: RowError) -> str:
    left = "" if row.held_out is None else f", {row.held_out:+.1%} left out"
    return (
        f"{row.row.name}: {row.row.cycles:,.0f} measured, {row.modelled:,.0f} modelled; "
        f"{row.before:+.1%} before, {row.fitted:+.1%} fitted{left}"
    )
