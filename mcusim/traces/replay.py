"""Running the memory behaviour of a trace again, without the network, on other terms.

Three ways: with the offsets it was recorded with, with those of another static planner, or with a
dynamic allocator serving its allocs and frees as they come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcusim.core.errors import BadArgument
from mcusim.core.units import parse_bytes
from mcusim.traces.source import Source, Traced

if TYPE_CHECKING:
    from mcusim.traces.machine import Moment


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay came to. All sizes are bytes of SRAM.

    Attributes:
        method: ``recorded``, ``planner`` or ``allocator``.
        name: of the planner or allocator.
        sram_bytes: the capacity it was given, 0 if none.
        peak_bytes: highest address in use at any time, headers and padding included.
        live_bytes: most bytes of blocks live at once; no placement needs less.
        overhead_bytes: headers and rounding of the allocator when most was live.
        moment: the first moment with the most live bytes.
        events: all events of the trace.
        steps: different steps that a planner had to lay out; 0 for the other methods.
    """

    method: str
    name: str
    sram_bytes: int
    peak_bytes: int
    live_bytes: int
    overhead_bytes: int
    moment: Moment
    events: int
    steps: int = 0

    @property
    def fragmentation_bytes(self) -> int:
        """Bytes of the peak that held no block when most was live."""
        return self.peak_bytes - self.live_bytes

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "method": self.method,
            "name": self.name,
            "fits": True,
            "sram_bytes": self.sram_bytes,
            "peak_bytes": self.peak_bytes,
            "live_bytes": self.live_bytes,
            "overhead_bytes": self.overhead_bytes,
            "fragmentation_bytes": self.fragmentation_bytes,
            "peak_row": self.moment.row,
            "peak_step": self.moment.step,
            "peak_op": self.moment.op,
            "by_role": self.moment.by_role,
            "events": self.events,
        }


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
        from mcusim.traces.replanning import replan

        return replan(trace, planner, capacity, seed)
    if allocator is not None:
        from mcusim.traces.reallocating import reallocate

        return reallocate(trace, allocator, capacity)
    from mcusim.traces.following import follow

    return follow(trace, capacity)
