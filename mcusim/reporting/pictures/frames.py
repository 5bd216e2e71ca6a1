"""A timeline: what DMA, core and flash did in the first seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.core.vocabulary import Role
from mcusim.mcu.timeline.scenario import NS
from mcusim.mcu.timeline.timeline import TRACKS, Timeline
from mcusim.reporting.pictures.canvas import FONT, SMALL, canvas, headed, sparse
from mcusim.sections.colors import ALERT, INK, ROLE_COLORS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHADES = {
    "DMA": ROLE_COLORS[Role.INPUT], "core": ROLE_COLORS[Role.SCRATCH], "flash": ROLE_COLORS[Role.FEATURE],
}  # fmt: skip


def plot_frames(timeline: Timeline, *, seconds: float | None = None) -> Figure:
    """Draw the first seconds of a timeline, one row a track; what the core waits for is red.

    Args:
        timeline: what happened.
        seconds: how much of it; by default all that was kept.
    """
    figure, (ax,) = canvas(1.5)
    end = min(timeline.seconds, max((s.end_ns for s in timeline.slices), default=NS) / NS)
    end = end if seconds is None else min(end, seconds)
    for row, track in enumerate(reversed(TRACKS)):
        own = [s for s in timeline.slices if s.track == track and s.start_ns < end * NS]
        for stalled, shade in ((False, SHADES[track]), (True, ALERT)):
            bars = [
                (s.start_ns / NS, (s.end_ns - s.start_ns) / NS)
                for s in own
                if (track == "core" and not s.name.startswith("step")) is stalled
            ]
            if bars:
                ax.broken_barh(bars, (row - 0.35, 0.7), color=shade, edgecolor=shade, linewidth=0.4)
    ax.set_yticks(range(len(TRACKS)), list(reversed(TRACKS)), fontsize=SMALL)
    ax.set_xlim(0, end)
    ax.set_ylim(-0.6, len(TRACKS) - 0.4)
    ax.set_xlabel("seconds; red: the core waits", fontsize=FONT, color=INK)
    sparse(ax.xaxis, most=6)
    facts = (
        f"{timeline.scenario.board.name}: {timeline.steps_per_s:.3g} steps/s",
        f"{timeline.missed_frames:,} of {timeline.frames:,} frames missed",
        f"awake {timeline.duty_cycle:.0%}",
        f"{timeline.totals.write_backs:,} write-backs",
    )
    headed(figure, ", ".join(facts))
    return figure
