"""Replaying a trace with the offsets it has."""

from __future__ import annotations

from mcusim.core.errors import OutOfSram
from mcusim.traces.machine import MAX_BYTES, MISFIT, PEAK, PEAK_ROW, TOP, Machine, Moment
from mcusim.traces.outcome import Replay
from mcusim.traces.source import Source


def follow(trace: Source, capacity: int | None) -> Replay:
    """Check that no two live blocks overlap and that all lie within the capacity.

    Raises:
        BadTrace: events that contradict each other.
        OutOfSram: a block reaches above the capacity.
    """
    machine = Machine(capacity=MAX_BYTES if capacity is None else capacity)
    for table in trace:
        machine.feed(table)
    top = int(machine.sums[TOP])
    if machine.sums[MISFIT] >= 0 and capacity is not None:
        moment = moment_at(trace, int(machine.sums[MISFIT]))
        raise OutOfSram(
            capacity_bytes=capacity,
            needed_bytes=top,
            largest_hole_bytes=moment.largest_hole(capacity),
            live=moment.live,
            where=moment.where,
            fullest=fullest(trace, int(machine.sums[PEAK]), int(machine.sums[PEAK_ROW])),
        )
    return Replay(
        method="recorded",
        name="",
        sram_bytes=capacity or 0,
        peak_bytes=top,
        live_bytes=int(machine.sums[PEAK]),
        overhead_bytes=0,
        moment=moment_at(trace, int(machine.sums[PEAK_ROW])),
        events=machine.rows,
    )


def fullest(trace: Source, live_bytes: int, row: int) -> str:
    """Return the moment with the most live bytes in words: the first that is too full need not be it."""
    return f"{moment_at(trace, row).where}, with {live_bytes:,} B live"


def measure(trace: Source) -> tuple[int, int, int]:
    """Return the most live bytes, the row where they are first live, and the number of events.

    Offsets are not looked at.
    """
    machine = Machine(placed=False)
    for table in trace:
        machine.feed(table)
    return int(machine.sums[PEAK]), int(machine.sums[PEAK_ROW]), machine.rows


def moment_at(trace: Source, row: int) -> Moment:
    """Return what is live after a row of a trace, -1 for before the first."""
    machine = Machine(placed=False)
    for table in trace:
        if machine.rows + len(table) > row >= 0:
            last = row - machine.rows
            machine.feed(table[: last + 1])
            return machine.moment(table, last)
        if row < 0:
            break
        machine.feed(table)
    return Moment(-1, 0, "", "", (), {}, ())
