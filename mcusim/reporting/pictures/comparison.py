"""A comparison: what each scheme on each board needs, by role, beside what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.reporting.pictures.canvas import FONT, KIB, below, canvas, headed, legend
from mcusim.reporting.pictures.rows import BAR, THICK, bars, limit, over
from mcusim.sections.colors import INK, OTHER, ROLE_COLORS
from mcusim.sections.kinds import digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcusim.explore.compare import Candidate, Comparison

NEAR = 1.3
"""Of the largest peak: what there is, where it is further away, is said and not drawn."""


def plot_comparison(found: Comparison) -> Figure:
    """Draw a bar a candidate: bytes by role at the peak, holes, and the SRAM there is."""
    plans = [row.plan for row in found.rows]
    there = [role for role in ROLE_COLORS if any(plan.by_role.get(role, 0) for plan in plans)]
    figure, (ax,) = canvas(0.75 + BAR * len(plans) + below(len(there) + 1))
    left = [0.0] * len(plans)
    drawn = [str(role) for role in there]
    rows = range(len(plans))
    for role in there:
        sizes = [plan.by_role.get(role, 0) / KIB for plan in plans]
        ax.barh(rows, sizes, left=left, color=ROLE_COLORS[role], height=THICK)
        left = [a + b for a, b in zip(left, sizes, strict=True)]
    holes = [plan.peak_bytes / KIB - at for plan, at in zip(plans, left, strict=True)]
    if any(holes):
        ax.barh(rows, holes, left=left, color=OTHER, height=THICK)
        drawn.append("holes")
    most = max((plan.peak_bytes / KIB for plan in plans), default=1.0)
    ends = [plan.settings.sram_bytes / KIB for plan in plans]
    near = [end for end in ends if end < NEAR * most]
    for row, (plan, end) in enumerate(zip(plans, ends, strict=True)):
        if end in near:
            limit(ax, row, end)
        who, said = f"{plan.board.name}, {plan.settings.update}", _said(found.rows[row])
        over(ax, row, who, said, fits=plan.fits)
    ax.set_xlim(0, max([1.02 * most, *(1.02 * end for end in near)]))
    red = "; red: what there is" if near else ""
    crossed = "" if all(plan.fits for plan in plans) else "; ✗: does not fit"
    ax.set_xlabel(f"KiB at the peak{red}{crossed}", fontsize=FONT, color=INK)
    bars(ax, len(plans))
    headed(figure, found.model.name)
    legend(figure, drawn)
    return figure


def _said(candidate: Candidate) -> str:
    plan, time = candidate.plan, candidate.step_ms
    said = f"{plan.peak_bytes:,} of {plan.settings.sram_bytes:,} B"
    return said if time is None else f"{said}, {digits(time.value)} ms"
