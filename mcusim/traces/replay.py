"""Running the memory behaviour of a trace again, without the network, on other terms.

Three ways: with the offsets it was recorded with, with those of another static planner, or with a
dynamic allocator serving its allocs and frees as they come.
"""

from __future__ import annotations

from mcusim.core.errors import BadArgument
from mcusim.core.units import parse_bytes
from mcusim.traces.following import follow
from mcusim.traces.outcome import Replay
from mcusim.traces.reallocating import reallocate
from mcusim.traces.replanning import replan
from mcusim.traces.source import Source, Traced


def replay(
    source: Traced,
    *,
    sram: int | str | None = None,
    planner: str | None = None,
    allocator: str | None = None,
    seed: int = 0,
) -> Replay:
    """Replay a trace.

    Args:
        source: a trace in memory, or a file that is read group by group.
        sram: capacity; without one the replay finds out how much it takes.
        planner: lay the blocks out anew with this static planner. Blocks that outlive a step are
            put at the bottom, for good, and every different step is laid out above them.
        allocator: serve allocs and frees with this dynamic allocator. A shrinking block gives its
            tail back only where the allocator can do that.
        seed: for planners that draw.

    Returns:
        Peak, live bytes and overhead, and the fullest moment by role.

    Raises:
        BadTrace: events that contradict each other, naming the row.
        OutOfSram: if it does not fit, naming the row.
        UnknownName: no such planner or allocator.
        BadProblem: more blocks live together than a planner takes.
    """
    if planner is not None and allocator is not None:
        raise BadArgument("replay", "got both a planner and an allocator", "give one of them")
    capacity = None if sram is None else parse_bytes(sram)
    trace = Source(source)
    if planner is not None:
        return replan(trace, planner, capacity, seed)
    if allocator is not None:
        return reallocate(trace, allocator, capacity)
    return follow(trace, capacity)
