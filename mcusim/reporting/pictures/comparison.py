"""A comparison: what each scheme on each board needs, by role, beside what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.reporting.pictures.canvas import FONT, KIB, SMALL, beside, canvas, legend, titled
from mcusim.sections.colors import ALERT, INK, OTHER, ROLE_COLORS
from mcusim.sections.kinds import digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcusim.explore.compare import Candidate, Comparison

BAR = 0.26
"""Inches a bar."""
LETTER = 0.0135
"""Part of the width that a letter beside a bar takes."""


def plot_comparison(found: Comparison) -> Figure:
    """Draw a bar a candidate: bytes by role at the peak, holes, and the SRAM there is."""
    plans = [row.plan for row in found.rows]
    named = sum(any(plan.by_role.get(role, 0) for plan in plans) for role in ROLE_COLORS) + 1
    figure, (ax,) = canvas(max(0.9 + BAR * max(len(plans), 3), beside(named)))
    left = [0.0] * len(plans)
    drawn = []
    rows = range(len(plans))
    for role in ROLE_COLORS:
        sizes = [plan.by_role.get(role, 0) / KIB for plan in plans]
        if any(sizes):
            ax.barh(rows, sizes, left=left, color=ROLE_COLORS[role], height=0.72)
            left = [a + b for a, b in zip(left, sizes, strict=True)]
            drawn.append(str(role))
    holes = [plan.peak_bytes / KIB - at for plan, at in zip(plans, left, strict=True)]
    if any(holes):
        ax.barh(rows, holes, left=left, color=OTHER, height=0.72)
        drawn.append("holes")
    most = max((plan.peak_bytes / KIB for plan in plans), default=1.0)
    room = 1.75 * most
    for row, (plan, candidate) in enumerate(zip(plans, found.rows, strict=True)):
        limit, end = plan.settings.sram_bytes / KIB, plan.peak_bytes / KIB
        if limit < 1.05 * most:
            ax.plot([limit, limit], [row - 0.42, row + 0.42], color=ALERT, linewidth=1.4)
            end = max(end, limit)
        said = _said(candidate)
        room = max(room, end / (1 - min(len(said) * LETTER, 0.8)))
        ax.annotate(
            said, (end, row), xytext=(4, 0), textcoords="offset points", va="center",
            fontsize=SMALL, color=INK if plan.fits else ALERT,
        )  # fmt: skip
    for row in rows[1:]:
        if plans[row].board.name != plans[row - 1].board.name:
            ax.axhline(row - 0.5, color=OTHER, linewidth=0.5)
    ax.set_yticks(list(rows), [f"{p.board.name}, {p.settings.update}" for p in plans], fontsize=SMALL)
    ax.set_ylim(len(plans) - 0.4, -0.6)
    ax.set_xlim(0, room)
    ax.set_xlabel("KiB of SRAM at the peak; red: what there is, where it is near", fontsize=FONT, color=INK)
    titled(ax, found.model.name)
    legend(ax, drawn)
    return figure


def _said(candidate: Candidate) -> str:
    plan, time = candidate.plan, candidate.step_ms
    said = f"{plan.peak_bytes:,} of {plan.settings.sram_bytes:,} B"
    if time is not None:
        said += f", {digits(time.value)} ms"
    return said if plan.fits else f"{said}: does not fit"
