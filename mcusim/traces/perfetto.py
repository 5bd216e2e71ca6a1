"""Export to the Chrome trace-event JSON that ui.perfetto.dev and chrome://tracing open.

Steps, ops and flash operations are slices, and every role has a counter track with its live bytes.
One microsecond of the viewer's axis is one cycle; a trace without cycles is drawn by event number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcusim.core.files import replacing
from mcusim.events import Event, EventKind
from mcusim.traces.source import Source, Traced

PROCESS, STEPS, OPS, FLASH = 1, 1, 2, 3
TRACKS = {STEPS: "steps", OPS: "ops", FLASH: "flash"}


def write_perfetto(path: str | Path, traced: Traced) -> Path:
    """Write a trace as JSON, event by event, and return its path.

    Raises:
        BadTrace: a damaged trace file.
        SaveFailed: if the file cannot be written; one that was there stays.
    """
    source = Source(traced)
    timed = any(table.cycle.any() for table in source)
    path = Path(path)
    with replacing(path) as file:
        about = {
            "clock": "1 us is 1 cycle" if timed else "1 us is 1 event",
            **json.loads(source.header.to_json()),
        }
        file.write(b'{"otherData": %s,\n"traceEvents": [\n' % json.dumps(about, allow_nan=False).encode())
        for index, entry in enumerate(_entries(source, timed)):
            file.write((",\n" if index else "").encode() + json.dumps(entry, allow_nan=False).encode())
        file.write(b"\n]}\n")
    return path


def _entries(source: Source, timed: bool) -> Iterator[dict[str, Any]]:
    name = " on ".join(part for part in (source.header.model, source.header.board) if part) or "mcusim"
    yield {"ph": "M", "pid": PROCESS, "name": "process_name", "args": {"name": name}}
    for track, title in TRACKS.items():
        yield {"ph": "M", "pid": PROCESS, "tid": track, "name": "thread_name", "args": {"name": title}}
    counters = _Counters()
    begun: dict[int, tuple[int, Event]] = {}
    for table in source:
        for event in table:
            time = event.cycle if timed else event.seq
            yield from counters.before(time)
            match event.event:
                case EventKind.STEP_START:
                    begun[STEPS] = (time, event)
                case EventKind.OP_START:
                    begun[OPS] = (time, event)
                case EventKind.STEP_END if STEPS in begun:
                    yield _slice(STEPS, f"step {event.step}", *begun.pop(STEPS), time)
                case EventKind.OP_END if OPS in begun:
                    yield _slice(OPS, event.op, *begun.pop(OPS), time)
                case EventKind.FLASH_ERASE | EventKind.FLASH_WRITE:
                    args = {"tensor": event.tensor, "offset": event.offset, "bytes": event.bytes}
                    yield _instant(FLASH, event, time, args)
                case EventKind.SELECT:
                    yield _instant(STEPS, event, time, {"tensor": event.tensor, "bytes": event.bytes})
                case _:
                    counters.take(event)
    yield from counters.before(None)


def _slice(track: int, name: str, start: int, event: Event, end: int) -> dict[str, Any]:
    return {
        "ph": "X", "pid": PROCESS, "tid": track, "ts": start, "dur": end - start, "name": name,
        "cat": event.phase or "step", "args": {"step": event.step, "phase": event.phase},
    }  # fmt: skip


def _instant(track: int, event: Event, time: int, args: dict[str, Any]) -> dict[str, Any]:
    name = event.event.replace("_", " ")
    return {"ph": "i", "s": "t", "pid": PROCESS, "tid": track, "ts": time, "name": name, "args": args}


class _Counters:
    """Live bytes of each role; one entry a role and moment, however many blocks came and went."""

    def __init__(self) -> None:
        self._live: dict[str, tuple[str, int]] = {}
        self._bytes: dict[str, int] = {}
        self._changed: dict[str, None] = {}
        self._time = 0

    def before(self, time: int | None) -> Iterator[dict[str, Any]]:
        """Yield what changed until ``time``, or at the end."""
        if time == self._time:
            return
        for role in self._changed:
            yield {
                "ph": "C", "pid": PROCESS, "ts": self._time, "name": f"SRAM {role}",
                "args": {"bytes": self._bytes[role]},
            }  # fmt: skip
        self._changed.clear()
        self._time = time or 0

    def take(self, event: Event) -> None:
        if event.region != "sram":
            return
        role, had = self._live.pop(event.tensor, (event.role, 0))
        has = 0 if event.event == EventKind.FREE else event.bytes
        if has:
            self._live[event.tensor] = (role, has)
        self._bytes[role] = self._bytes.get(role, 0) + has - had
        self._changed[role] = None
