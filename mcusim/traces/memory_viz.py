"""Export to the memory snapshot of PyTorch, for the viewer at pytorch.org/memory_viz.

Written and never read. The whole SRAM is one segment; every tensor is an allocation whose
category is its role and whose stack names the tensor, the op and the step. The viewer reads
pickles of protocol 4 and older and knows a few opcodes only, so the file holds nothing but dicts,
lists, strings and integers. The structure is documented at ``torch.cuda.memory._snapshot``.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from mcusim.core.errors import BadTrace
from mcusim.core.files import replacing
from mcusim.events import Event, EventKind
from mcusim.traces.source import Source, Traced

SRAM_BASE = 0x2000_0000
"""Where SRAM begins on Arm Cortex-M; addresses in the viewer look as they do in a debugger."""

MAX_EVENTS = 1 << 20
"""Events that a snapshot can have; the viewer holds all of them in memory."""
LESS = (EventKind.SHRINK, EventKind.YIELD)
"""What leaves a block with fewer bytes."""


def write_memory_viz(path: str | Path, traced: Traced) -> Path:
    """Write a trace as a snapshot pickle and return its path.

    Raises:
        BadTrace: a damaged trace, or more than :data:`MAX_EVENTS` events.
        SaveFailed: if the file cannot be written; one that was there stays.
    """
    path = Path(path)
    with replacing(path) as file:
        pickle.dump(snapshot(traced), file, protocol=4)
    return path


def snapshot(traced: Traced) -> dict[str, Any]:
    """Return the snapshot as plain data."""
    source = Source(traced)
    live: dict[str, dict[str, Any]] = {}
    entries: list[dict[str, Any]] = []
    top = source.header.sram_bytes
    for table in source:
        for event in table:
            if event.region != "sram":
                continue
            if len(entries) > MAX_EVENTS:
                raise BadTrace("trace", f"has more than {MAX_EVENTS:,} events", "export fewer steps")
            if event.event == EventKind.ALLOC and event.bytes:
                live[event.tensor] = _alloc(event)
                entries.append(live[event.tensor])
                top = max(top, event.offset + event.bytes)
            elif event.event in (EventKind.FREE, *LESS) and event.tensor in live:
                old = live.pop(event.tensor)
                entries += (
                    {**old, "action": action, "time_us": event.cycle}
                    for action in ("free_requested", "free_completed")
                )
                if event.event in LESS and event.bytes:
                    live[event.tensor] = _alloc(event)
                    entries.append(live[event.tensor])
    # A trace that names categories has to have one of this name for what has none.
    whole = {
        "action": "segment_alloc", "addr": SRAM_BASE, "size": top, "stream": 0, "frames": [],
        "time_us": 0, "category": "unknown",
    }  # fmt: skip
    return {"segments": [_segment(live, top)], "device_traces": [[whole, *entries]]}


def _alloc(event: Event) -> dict[str, Any]:
    return {
        "action": "alloc",
        "addr": SRAM_BASE + event.offset,
        "size": event.bytes,
        "stream": 0,
        "time_us": event.cycle,
        "category": event.role,
        "frames": [
            {"filename": event.role, "line": event.seq, "name": event.tensor},
            {"filename": event.phase or "session", "line": event.step, "name": event.op or "between ops"},
        ],
    }


def _segment(live: dict[str, dict[str, Any]], total: int) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    end = SRAM_BASE
    for entry in sorted(live.values(), key=lambda entry: entry["addr"]):
        if entry["addr"] > end:
            blocks.append(_block(end, entry["addr"] - end, "inactive", []))
        blocks.append(_block(entry["addr"], entry["size"], "active_allocated", entry["frames"]))
        end = entry["addr"] + entry["size"]
    if SRAM_BASE + total > end:
        blocks.append(_block(end, SRAM_BASE + total - end, "inactive", []))
    used = sum(entry["size"] for entry in live.values())
    return {
        "device": 0, "address": SRAM_BASE, "total_size": total, "stream": 0, "segment_type": "large",
        "segment_pool_id": (0, 0), "allocated_size": used, "active_size": used, "requested_size": used,
        "frames": [], "blocks": blocks,
    }  # fmt: skip


def _block(address: int, size: int, state: str, frames: list[dict[str, Any]]) -> dict[str, Any]:
    return {"address": address, "size": size, "requested_size": size, "state": state, "frames": frames}
