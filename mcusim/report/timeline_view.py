"""A timeline in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from mcusim.core import BadBoard, Figure
from mcusim.report.console import facts_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mcusim.mcu.timeline.timeline import Timeline


def timeline_view(found: Timeline) -> RenderableType:
    """Return what was achieved; a figure the board lacks is a dash, and a note below says why."""
    totals, scenario = found.totals, found.scenario
    facts = [
        (
            "simulated",
            f"{found.seconds:,.0f} s on {scenario.board.name}, {scenario.step_ns / 1e6:,.1f} ms a step",
        ),
        ("frames", f"{found.frames:,}, {found.missed_frames:,} of them missed"),
        ("training steps", f"{totals.steps:,}, {found.steps_per_s:.3g} a second"),
        ("write-backs", f"{totals.write_backs:,} of {scenario.write_back_ns / 1e6:,.0f} ms"),
        (
            "awake",
            f"{found.duty_cycle:.1%}, {totals.stalled_ns / scenario.duration_ns:.1%} waiting for the flash",
        ),
    ]
    notes = []
    for label, name in (
        ("average current", "average_current_ma"),
        ("energy an hour", "energy_per_hour"),
        ("life of the flash", "flash_lifetime_days"),
    ):
        try:
            facts.append((label, _shown(getattr(found, name))))
        except BadBoard as error:
            facts.append((label, "–"))
            notes.append(f"{label}: {error}")
    return Group(facts_table(facts), *(Text(note, "dim") for note in dict.fromkeys(notes)))


def _shown(value: Figure | float | None) -> str:
    if value is None:
        return "nothing is written"
    if not isinstance(value, Figure):
        return f"{value:,.0f} days" if value >= 10 else f"{value:.2g} days"
    spread = "" if value.worst_error is None else f", laboratories differ by up to {value.worst_error:.0%}"
    return f"{value.value:,.3g} {value.unit} ({value.provenance}{spread})"
