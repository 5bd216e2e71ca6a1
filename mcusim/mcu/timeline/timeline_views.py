"""A timeline for other eyes: a Perfetto trace, a plot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcusim.core import MissingPackage
from mcusim.core.files import replacing
from mcusim.mcu.timeline.scenario import NS
from mcusim.mcu.timeline.timeline import TRACKS, Timeline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"DMA": "#8da0cb", "core": "#66a61e", "flash": "#d95f02"}
STALL_COLOUR = "#e7298a"


def write_timeline_trace(timeline: Timeline, path: str | Path) -> Path:
    """Write the slices as a Chrome JSON trace, which https://ui.perfetto.dev opens.

    Times are microseconds there; one thread a track.

    Raises:
        SaveFailed: if the place cannot be written.
    """
    entries: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": timeline.scenario.board.title}}
    ]
    for number, track in enumerate(TRACKS, start=1):
        entries.append({"ph": "M", "name": "thread_name", "pid": 1, "tid": number, "args": {"name": track}})
    entries += [
        {
            "ph": "X", "name": s.name, "cat": s.track, "pid": 1, "tid": TRACKS.index(s.track) + 1,
            "ts": s.start_ns / 1000, "dur": (s.end_ns - s.start_ns) / 1000,
        }
        for s in timeline.slices
    ]  # fmt: skip
    with replacing(path) as file:
        file.write(json.dumps({"traceEvents": entries, "displayTimeUnit": "ms"}, allow_nan=False).encode())
    return Path(path)


def plot_timeline(timeline: Timeline, *, seconds: float | None = None) -> Figure:
    """Draw the first seconds of a timeline, one row a track.

    Args:
        timeline: what happened.
        seconds: how much of it; by default all that was kept.

    Raises:
        MissingPackage: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackage("matplotlib", "plotting a timeline", "plot") from error
    figure = Figure(figsize=(9, 2.4), layout="constrained")
    axes = figure.subplots()
    end = min(timeline.seconds, max((s.end_ns for s in timeline.slices), default=NS) / NS)
    end = end if seconds is None else min(end, seconds)
    for row, track in enumerate(reversed(TRACKS)):
        own = [s for s in timeline.slices if s.track == track and s.start_ns < end * NS]
        for stalled, colour in ((False, COLOURS[track]), (True, STALL_COLOUR)):
            bars = [
                (s.start_ns / NS, (s.end_ns - s.start_ns) / NS)
                for s in own
                if (track == "core" and not s.name.startswith("step")) is stalled
            ]
            if bars:
                axes.broken_barh(bars, (row - 0.35, 0.7), color=colour, edgecolor="white", linewidth=0.3)
    axes.set_yticks(range(len(TRACKS)), list(reversed(TRACKS)))
    axes.set_xlim(0, end)
    axes.set_xlabel("seconds")
    facts = (
        f"{timeline.scenario.board.name}: {timeline.steps_per_s:.3g} steps/s",
        f"{timeline.missed_frames:,} of {timeline.frames:,} frames missed",
        f"awake {timeline.duty_cycle:.0%}",
        f"{timeline.totals.write_backs:,} write-backs",
    )
    axes.set_title(", ".join(facts), fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
