"""A tour: what each planner and allocator needs of one trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.reporting.pictures.canvas import FONT, KIB, SERIES, SMALL, canvas, grouped, legend, titled
from mcusim.sections.colors import ALERT, INK, OTHER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcusim.traces.tour import Tour

SHADES = {"live": SERIES[0][0], "headers, rounding": SERIES[1][0], "holes": OTHER}
BAR = 0.26
"""Inches a bar."""


def plot_tour(found: Tour) -> Figure:
    """Draw a bar each: what is live, headers and rounding, holes; the SRAM there is as a line."""
    stops = [stop for stop in found.stops if stop.peak_bytes is not None]
    figure, (ax,) = canvas(0.9 + BAR * max(len(stops), 3))
    most = max((stop.peak_bytes or 0 for stop in stops), default=1) / KIB or 1.0
    for row, stop in enumerate(stops):
        live, overhead = (stop.live_bytes or 0) / KIB, (stop.overhead_bytes or 0) / KIB
        peak = (stop.peak_bytes or 0) / KIB
        overhead = min(overhead, peak - live)
        ax.barh(row, live, color=SHADES["live"], height=0.72)
        ax.barh(row, overhead, left=live, color=SHADES["headers, rounding"], height=0.72)
        ax.barh(row, peak - live - overhead, left=live + overhead, color=SHADES["holes"], height=0.72)
        said = f"{stop.peak_bytes:,} B, {stop.fragmentation or 0:.1%} empty"
        ax.annotate(
            said, (peak, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=SMALL,
            color=INK if stop.fits else ALERT,
        )  # fmt: skip
    if found.sram_bytes is not None and found.sram_bytes / KIB < 1.6 * most:
        ax.axvline(found.sram_bytes / KIB, color=ALERT, linewidth=1.2, linestyle=(0, (5, 3)))
    ax.set_yticks(range(len(stops)), [stop.name for stop in stops], fontsize=SMALL)
    ax.set_ylim(len(stops) - 0.4, -0.6)
    ax.set_xlim(0, 1.75 * most)
    ax.set_xlabel("KiB at the peak; red: what there is, where it is near", fontsize=FONT, color=INK)
    grouped(ax.xaxis)
    titled(ax, found.title)
    legend(ax, SHADES)
    return figure
