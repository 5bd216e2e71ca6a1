"""Placement where memory outside the chip takes what has no room inside: as few bytes moved there as can be.

Which blocks go out is a knapsack over time. It is solved greedily, twice: blocks leave until the others have
room, each time the one that relieves most for the bytes that the step moves of it; then those that left come
back where there is room after all, the most moved first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mcusim.memory.block import Block
from mcusim.memory.bound import live_over_time
from mcusim.memory.planners.greedy import GREEDY
from mcusim.memory.planners.placing import Placing
from mcusim.memory.problem import Problem, Solution, Status, judge

Ints = npt.NDArray[np.int64]
Planner = Callable[[Problem, int | None], Solution]
"""Places a problem with so much effort; its default if ``None``."""
EFFORT = 1_000_000
"""Spent on finding room inside for everything: where there is none so soon, something lies outside."""


@dataclass(frozen=True, slots=True)
class Inside:
    """A problem and the part of memory that is on the chip.

    Attributes:
        problem: what is to be placed, with the capacity of all memory.
        bytes: offset at which external memory begins.
        moved: bytes that the step reads and writes of each block; those that are missing stay inside.
    """

    problem: Problem
    bytes: int
    moved: Mapping[str, int]

    def part(self, names: Collection[str]) -> Problem:
        """Return these blocks as a problem of what is inside."""
        problem = self.problem
        return replace(
            problem, blocks=tuple(b for b in problem.blocks if b.name in names), capacity=self.bytes,
            gaps=tuple(gap for gap in problem.gaps if gap < self.bytes),
            overlaps=tuple(o for o in problem.overlaps if o.old in names and o.new in names),
        )  # fmt: skip

    def rest(self, names: Collection[str]) -> Problem:
        """Return these blocks as a problem of what is outside, its first byte at 0."""
        return self.problem.above(self.bytes, (b for b in self.problem.blocks if b.name in names))

    @property
    def largest(self) -> int:
        """Bytes of the largest piece inside."""
        edges = [0, *(gap for gap in self.problem.gaps if gap < self.bytes), self.bytes]
        return max(b - a for a, b in pairwise(edges))

    def quick(self, names: Collection[str]) -> Solution | None:
        """Return a placement of these blocks inside by one of the greedy orders, if one fits."""
        placing = Placing(self.part(names))
        for greedy in GREEDY:
            offsets = placing.place_all(greedy.order(placing.problem))
            found = placing.solution(greedy.name, offsets)
            if found.height <= self.bytes:
                return found
        return None


def spread(
    problem: Problem, inside: int, moved: Mapping[str, int], planner: Planner, *, greedy: bool = True
) -> Solution:
    """Place a problem, inside as far as there is room, and what is moved least outside.

    Args:
        problem: its capacity is that of all memory.
        inside: offset at which external memory begins.
        moved: bytes that the step reads and writes of each block that may lie outside.
        planner: places what is inside, and what is outside.
        greedy: what a greedy order finds room for inside is left so, and not searched for anything lower.
    """
    here = Inside(problem, inside, moved)
    every = {block.name for block in problem.blocks}
    forced = {b.name for b in problem.blocks if b.bytes > here.largest and b.name in moved}
    if not forced:
        whole = (here.quick(every) if greedy else None) or planner(
            here.part(every), EFFORT if greedy else None
        )
        if whole.fits:
            height = whole.height
            return replace(whole, status=judge(problem, height, whole.lower_bound))
    best, cost = forced, None
    for everywhere in (True, False):
        out = _leaving(here, forced, everywhere)
        total = sum(moved[name] for name in out)
        if cost is None or total < cost:
            best, cost = out, total
    kept = every - best
    within = (here.quick(kept) if greedy else None) or planner(here.part(kept), None)
    if not within.fits:
        within = here.quick(kept) or within
    beyond = planner(here.rest(best), None)
    base = -(-inside // problem.align) * problem.align
    offsets = {**within.offsets, **{name: base + offset for name, offset in beyond.offsets.items()}}
    solid = [block for block in problem.blocks if block.bytes]
    height = max((offsets[b.name] + b.bytes for b in solid), default=0)
    status = judge(problem, height, within.lower_bound) if within.fits else Status.UNKNOWN
    if status is Status.OPTIMAL:
        status = Status.FEASIBLE  # lower than this is no aim
    return replace(within, offsets=offsets, height=height, status=status, work=within.work + beyond.work)


def least_moved(problem: Problem, inside: int, moved: Mapping[str, int]) -> int:
    """Return how many bytes a step moves outside at the least, wherever things lie.

    What is larger than any piece inside lies outside. At each time so many of the other live bytes do as are
    above what is inside: no choice of them is moved less than the fewest moved for each byte, in parts.
    """
    here = Inside(problem, inside, moved)
    forced = {b.name for b in problem.blocks if b.bytes > here.largest and b.name in moved}
    kept = [b for b in problem.blocks if b.name not in forced]
    pairs = here.part({b.name for b in kept}).pairs
    live = live_over_time(kept, pairs=pairs)
    most = 0.0
    for time, total in zip(live.times.tolist(), live.bytes.tolist(), strict=True):
        excess, taken = total - inside, 0.0
        if excess <= 0:
            continue
        there = [(moved[b.name] / size, size) for b in kept if b.name in moved and (size := b.bytes_at(time))]
        for price, size in sorted(there):
            part = min(size, excess)
            taken, excess = taken + price * part, excess - part
            if excess <= 0:
                break
        most = max(most, taken)
    return sum(moved[name] for name in forced) + int(most)


def _leaving(here: Inside, forced: set[str], everywhere: bool) -> set[str]:
    """Return what lies outside, judged by relief at all ops, or at the fullest one only."""
    out = set(forced)
    blocks = {b.name: b for b in here.problem.blocks}
    while True:
        kept = blocks.keys() - out
        free = [blocks[name] for name in sorted(kept & here.moved.keys()) if blocks[name].bytes]
        relief = dict(_relief(here, kept, free, everywhere))
        if not relief:
            if not free or here.quick(kept) is not None:
                break
            # There is room, and no order finds it.
            relief = {block.name: float(block.bytes) for block in free}
        out.add(max(relief, key=lambda name: (relief[name] / max(here.moved[name], 1), name)))
    for name in sorted(out - forced, key=lambda name: (-here.moved[name], name)):
        if here.quick((blocks.keys() - out) | {name}) is not None:
            out.discard(name)
    return out


def _relief(
    here: Inside, kept: Collection[str], free: list[Block], everywhere: bool
) -> Iterator[tuple[str, float]]:
    """Yield for each block how much of the bytes for which there is no room would be gone without it."""
    part = here.part(kept)
    live = live_over_time(part.blocks, pairs=part.pairs)
    if not len(live.times):
        return
    excess = np.maximum(live.bytes - here.bytes, 0)
    if not everywhere:
        excess = np.where(excess == excess.max(), excess, 0)
    spans = np.diff(live.times, append=live.times[-1])
    for block in free:
        relief = 0.0
        for life, size in block.rectangles:
            first, last = np.searchsorted(live.times, (life.start, life.end))
            relief += float(np.minimum(excess[first:last], size) @ spans[first:last])
        if relief:
            yield block.name, relief
