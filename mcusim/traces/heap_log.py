"""A heap's own story: who asked for how many bytes, and gave them back, in order.

From it comes a trace of one step that can be replayed, explained, exported and packed. A block lives from the
event at which it was asked for to the one at which it was given back, or to the end.
"""

from __future__ import annotations

from collections import Counter

from mcusim.core.errors import BadTrace
from mcusim.core.interval import Interval
from mcusim.core.legible import shortened
from mcusim.memory.block import MAX_BYTES, Block
from mcusim.memory.checker import check_offsets
from mcusim.memory.planners import PLANNERS
from mcusim.memory.problem import Problem
from mcusim.traces.problems import trace_of
from mcusim.traces.store import Trace

MAX_EVENTS = 1_000_000
MANY = 2000
"""Blocks above which those of a log without addresses are laid out by one greedy order alone."""


class HeapLog:
    """Allocs and frees being read, one after the other.

    Args:
        source: the file, for errors.
    """

    def __init__(self, source: str) -> None:
        self.source, self.count = source, 0
        self._live: dict[str, tuple[str, int, int, int | None]] = {}
        self._seen: Counter[str] = Counter()
        self._blocks: list[Block] = []
        self._addresses: dict[str, int] = {}

    def alloc(self, key: str, size: int, where: str, *, address: int | None = None) -> None:
        """Take in that ``size`` bytes were asked for; they are called ``key`` until they are given back.

        Raises:
            BadTrace: if ``key`` is live, or the size is none.
        """
        if key in self._live:
            raise BadTrace(
                where, f"allocates {shortened(key)!r}, which is live", "free it first, or name it anew"
            )
        if not 0 <= size < MAX_BYTES:
            raise BadTrace(where, f"allocates {size} bytes", "a size is 0 or more")
        self._step(where)
        self._seen[key] += 1
        name = key if self._seen[key] == 1 else f"{key}#{self._seen[key]}"
        self._live[key] = (name, size, self.count - 1, address)

    def free(self, key: str, where: str) -> None:
        """Take in that what is called ``key`` was given back.

        Raises:
            BadTrace: if nothing of that name is live.
        """
        if key not in self._live:
            raise BadTrace(where, f"frees {shortened(key)!r}, which is not live", "a free follows its alloc")
        self._step(where)
        self._end(*self._live.pop(key), self.count - 1)

    def live(self, key: str) -> bool:
        """True if something of that name is live."""
        return key in self._live

    def trace(self) -> Trace:
        """Return the trace of one step in which the blocks come and go.

        Offsets are addresses, where the log has them, counted from the lowest; else those of a planner.

        Raises:
            BadTrace: if nothing was allocated, or two live blocks share an address.
        """
        for key in [*self._live]:
            self._end(*self._live.pop(key), self.count)
        if not self._blocks:
            raise BadTrace(self.source, "allocates nothing", "give a log with allocs and frees")
        problem = Problem(tuple(self._blocks))
        if len(self._addresses) == len(self._blocks):
            base = min(self._addresses.values())
            offsets = {name: address - base for name, address in self._addresses.items()}
            check_offsets(problem, offsets)
            return trace_of(problem, offsets)
        planner = "best" if len(self._blocks) <= MANY else "greedy_by_size"
        return trace_of(problem, PLANNERS[planner](problem).offsets, planner=planner)

    def _step(self, where: str) -> None:
        self.count += 1
        if self.count > MAX_EVENTS:
            raise BadTrace(where, f"is one event too many: at most {MAX_EVENTS:,}", "cut the log in pieces")

    def _end(self, name: str, size: int, start: int, address: int | None, end: int) -> None:
        self._blocks.append(Block(name, size, Interval(start, end)))
        if address is not None:
            self._addresses[name] = address
