"""A tour: what each planner and allocator needs of one trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.reporting.pictures.canvas import FONT, KIB, SERIES, below, canvas, grouped, headed, legend
from mcusim.reporting.pictures.rows import BAR, THICK, bars, limit, over
from mcusim.sections.colors import INK, OTHER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcusim.traces.tour import Tour

SHADES = {"live": SERIES[0][0], "headers, rounding": SERIES[1][0], "holes": OTHER}


def plot_tour(found: Tour) -> Figure:
    """Draw a bar each: what is live, headers and rounding, holes; the SRAM there is as a line."""
    stops = [stop for stop in found.stops if stop.peak_bytes is not None]
    figure, (ax,) = canvas(0.75 + BAR * len(stops) + below(len(SHADES)))
    most = max((stop.peak_bytes or 0 for stop in stops), default=1) / KIB or 1.0
    for row, stop in enumerate(stops):
        live, overhead = (stop.live_bytes or 0) / KIB, (stop.overhead_bytes or 0) / KIB
        peak = (stop.peak_bytes or 0) / KIB
        overhead = min(overhead, peak - live)
        for left, size, what in (
            (0.0, live, "live"), (live, overhead, "headers, rounding"),
            (live + overhead, peak - live - overhead, "holes"),
        ):  # fmt: skip
            ax.barh(row, size, left=left, color=SHADES[what], height=THICK)
        said = f"{stop.peak_bytes:,} B, {stop.fragmentation or 0:.1%} empty"
        over(ax, row, stop.name, said, fits=stop.fits)
    end = None if found.sram_bytes is None else found.sram_bytes / KIB
    near = end is not None and end < 1.3 * most
    if end is not None and near:
        for row in range(len(stops)):
            limit(ax, row, end)
        most = max(most, end)
    ax.set_xlim(0, 1.02 * most)
    red = "; red: what there is" if near else ""
    crossed = "" if all(stop.fits for stop in stops) else "; ✗: does not fit"
    ax.set_xlabel(f"KiB at the peak{red}{crossed}", fontsize=FONT, color=INK)
    grouped(ax.xaxis)
    bars(ax, len(stops))
    headed(figure, found.title)
    legend(figure, SHADES)
    return figure
