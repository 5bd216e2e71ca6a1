"""Replaying a trace with the offsets of another static planner."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from mcusim.core.errors import OutOfSram
from mcusim.events import EventTable
from mcusim.memory.checker import check
from mcusim.memory.planners import PLANNERS
from mcusim.memory.planners.registry import Planner
from mcusim.memory.problem import Problem
from mcusim.traces.following import measure, moment_at
from mcusim.traces.outcome import Replay
from mcusim.traces.source import Source
from mcusim.traces.windows import Live, Window, steps, window


def replan(trace: Source, planner: str, capacity: int | None, seed: int) -> Replay:
    """Lay the blocks of every different step out anew.

    A trace of one step is one problem. In a longer one every tensor that is live across the border
    of a step lies at the bottom, at a place of its own (a block that is always live loses nothing
    there), and the other blocks of each step lie above them.

    Raises:
        BadTrace: events that contradict each other.
        OutOfSram: the planner's placement is higher than the capacity.
    """
    plan = PLANNERS[planner]
    live_bytes, peak_row, events = measure(trace)
    align = trace.header.align
    fixed = _carried_sizes(trace)
    floor = sum(-(-size // align) * align for size in fixed.values())
    height, count = 0, 0
    for step in _different_steps(trace):
        passing = [b for b, tensor in zip(step.blocks, step.tensors, strict=True) if tensor not in fixed]
        names = {b.name for b in passing}
        overlaps = tuple(o for o in step.overlaps if {o.old, o.new} <= names)
        height = max(height, _height(plan, Problem(tuple(passing), align=align, overlaps=overlaps), seed))
        count += 1
    peak = floor + height
    moment = moment_at(trace, peak_row)
    if capacity is not None and peak > capacity:
        raise OutOfSram(capacity_bytes=capacity, needed_bytes=peak, live=moment.live, where=moment.where)
    return Replay(
        method="planner",
        name=planner,
        sram_bytes=capacity or 0,
        peak_bytes=peak,
        live_bytes=live_bytes,
        overhead_bytes=0,
        moment=moment,
        events=events,
        steps=count,
    )


def _height(plan: Planner, problem: Problem, seed: int) -> int:
    solution = plan(problem, seed=seed)
    check(problem, solution)
    return solution.height


def _carried_sizes(trace: Source) -> dict[str, int]:
    """Return the largest size of every tensor that is ever live across the border of a step."""
    carried: set[str] = set()
    largest: dict[str, int] = {}
    count = 0
    for step in _different_steps(trace):
        count += 1
        carried |= step.carried
        for block, tensor in zip(step.blocks, step.tensors, strict=True):
            largest[tensor] = max(largest.get(tensor, 0), block.bytes)
    return {name: largest[name] for name in sorted(carried)} if count > 1 else {}


def _different_steps(trace: Source) -> Iterator[Window]:
    """Yield the blocks of every step that is not the same as one before it."""
    live: Live = {}
    known: dict[bytes, Live] = {}
    for events in steps(trace):
        key = _digest(events, live)
        if key not in known:
            step = window(events, live)
            known[key] = step.after
            yield step
        live = known[key]


def _digest(events: EventTable, live: Live) -> bytes:
    digest = hashlib.blake2b(repr(sorted(live.items())).encode(), digest_size=16)
    for column in (events.event, events.region, events.role, events.tensor, events.bytes):
        digest.update(column.tobytes())
    return digest.digest()
