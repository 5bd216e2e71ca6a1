"""A timeline for other eyes: a Perfetto trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mcusim.core.files import replacing
from mcusim.mcu.timeline.timeline import TRACKS, Timeline


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
