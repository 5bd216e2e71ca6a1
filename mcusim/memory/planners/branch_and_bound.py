"""Exact search among canonical placements, with restarts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import count
from math import gcd
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from mcusim.core import BadArgument
from mcusim.core.counted import tell
from mcusim.memory.block import Block
from mcusim.memory.planners.orders import by_size
from mcusim.memory.planners.placing import Placing
from mcusim.memory.planners.registry import PLANNERS
from mcusim.memory.planners.residents import Stacked, stacked
from mcusim.memory.problem import Problem, Solution, judge

if TYPE_CHECKING:
    from mcusim.memory.branch_state import Ints, Shapes

DEFAULT_EFFORT = 20_000_000
"""Nodes of the search trees: minutes."""
MAX_BLOCKS = 3000
"""Most blocks of a part that is searched: two numbers a block and depth are kept, 144 MB at this size."""
RESTART = 1000
"""Nodes of the shortest tries; the others are multiples of it."""
NOISE = 0.02
"""How far a block strays from its place in an order, as a share of the length of the order."""
BLAME = 2.0
"""How far blame may bring a block forward, likewise."""
FORGET = 0.95
"""What is left of the blame of earlier tries with every new one."""

IMPOSSIBLE, OPEN = -1, 0
"""As in ``branch_core``, which is imported, and compiled, only when there is something to search."""


@PLANNERS.register("branch_and_bound")
def branch_and_bound(
    problem: Problem, /, *, seed: int = 0, effort: int | None = None,
    time_limit_s: float | None = None,
) -> Solution:  # fmt: skip
    """Search until the blocks fit the capacity; without one, for the lowest placement.

    Many short tries instead of a long one, since a try that goes wrong early rarely recovers. Their
    lengths follow M. Luby, A. Sinclair, D. Zuckerman, "Optimal speedup of Las Vegas algorithms" (1993).
    The order in which blocks are preferred changes from try to try, and those that could not be placed
    come earlier in the next. A try that ends by itself is a proof that nothing fits.

    Args:
        problem: what is to be solved; parts of it that never meet in time are solved one by one.
        seed: of the order of preference.
        effort: nodes of all search trees together; ``DEFAULT_EFFORT`` by default.
        time_limit_s: wall-clock limit. When it is over, or the user interrupts, the best placement
            found until then is returned.

    Raises:
        BadArgument: for a negative time limit.
    """
    budget = SearchLimit(DEFAULT_EFFORT if effort is None else effort, time_limit_s)
    placing = Placing(problem)
    first = placing.solution("branch_and_bound", placing.place_all(by_size(problem)), winner="greedy_by_size")
    return improve(first, problem, budget, seed=seed)


def improve(best: Solution, problem: Problem, budget: SearchLimit, *, seed: int = 0) -> Solution:
    """Return a lower placement than ``best``, or ``best`` with what is proven; see ``branch_and_bound``."""
    capacity = problem.capacity
    branch = _Search(problem, seed)
    proven = min(branch.round_up(best.lower_bound), best.height)
    low = probe = proven if capacity is None else max(proven, capacity)
    try:
        while low < best.height and budget.left and (capacity is None or proven <= capacity):
            # A probe that finds nothing may use half of what is left; a capacity is the only probe.
            share = budget.share(budget.left if capacity is not None else budget.left // 2 + 1)
            found = branch.fit(probe, share)
            if isinstance(found, dict):
                height = max(found[b.name] + b.bytes for b in problem.blocks)
                best = replace(best, offsets=found, height=height, winner="branch_and_bound")
            else:
                if found == IMPOSSIBLE and probe >= proven:
                    # Below a height that is impossible everything is.
                    proven = min(branch.round_up(probe + 1), best.height)
                low = branch.round_up(probe + 1)
            if capacity is not None:
                break
            probe = max(low, branch.round_down((low + best.height - 1) // 2))
    except KeyboardInterrupt:
        pass
    status = judge(problem, best.height, proven)
    return replace(best, lower_bound=proven, status=status, work=best.work + budget.used)


class SearchLimit:
    """What a search may use: nodes, and if wanted seconds."""

    def __init__(self, nodes: int, seconds: float | None = None) -> None:
        if seconds is not None and not seconds >= 0:
            raise BadArgument(f"time limit {seconds}", "is not a number of seconds", "give 0 or more")
        self.nodes, self.used = nodes, 0
        self._end = None if seconds is None else monotonic() + seconds
        self._whole: SearchLimit | None = None

    def share(self, nodes: int) -> SearchLimit:
        """Return a limit of so many of these nodes; what is used of it is used of this one too."""
        found = SearchLimit(nodes, self.seconds_left)
        found._whole = self
        return found

    def use(self, nodes: int) -> None:
        """Note that nodes were visited, and tell who listens how many of all."""
        self.used += nodes
        if self._whole is not None:
            self._whole.use(nodes)
        else:
            tell(min(self.used, self.nodes), self.nodes)

    @property
    def left(self) -> int:
        """Nodes that may still be visited; 0 when time is up."""
        return 0 if self.seconds_left == 0 else max(self.nodes - self.used, 0)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until time is up, or ``None`` without a limit."""
        return None if self._end is None else max(self._end - monotonic(), 0.0)


class _Search:
    """A problem in parts that can be searched one by one."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem, self._seed = problem, seed
        parts = stacked(problem)
        aligned = max((problem.align_of(b) for b in problem.blocks), default=1)
        if any(b.bytes % aligned for b in problem.blocks if b.name in parts.residents):
            parts = Stacked({}, 0, problem)  # at the bottom, residents would cost rounding
        self._below = parts
        solid = [b for b in parts.rest.blocks if b.bytes]
        size = gcd(*(size for b in problem.blocks for _, size in b.rectangles))
        rounded = [align for b in problem.blocks if size % (align := problem.align_of(b))]
        shared = [-(-overlap.distance // aligned) * aligned for overlap in problem.overlaps]
        bars = [edge for b in problem.blocks for bar in b.barred for edge in bar]
        self._unit = gcd(size, *rounded, *problem.gaps, *bars, *shared) or 1
        """Every height is a multiple of it: a sum of sizes, rounded up to those alignments at times."""
        self._parts = [_Part(blocks, problem) for blocks in _apart(solid)]

    def round_up(self, height: int) -> int:
        """Return the least height a placement can have that is not below ``height``."""
        return -(-height // self._unit) * self._unit

    def round_down(self, height: int) -> int:
        """Return the largest height a placement can have that is not above ``height``."""
        return height // self._unit * self._unit

    def fit(self, capacity: int, budget: SearchLimit) -> dict[str, int] | int:
        """Return an offset for every block with all of them below ``capacity``, or what is known instead."""
        base = self._below.base
        offsets = {b.name: 0 for b in self._problem.blocks} | dict(self._below.residents)
        for part in self._parts:
            found = part.fit(capacity - base, budget, self._seed)
            if isinstance(found, int):
                # Blocks that may overlap are kept apart here, so that what fails is not proven impossible.
                return OPEN if self._problem.overlaps else found
            offsets |= {name: base + offset for name, offset in found.items()}
        return offsets


def _apart(blocks: list[Block]) -> list[list[Block]]:
    """Return the blocks in groups that are never live together."""
    groups: list[list[Block]] = []
    end = 0
    for block in sorted(blocks, key=lambda b: b.lifetime.start):
        if not groups or block.lifetime.start >= end:
            groups.append([])
        groups[-1].append(block)
        end = max(end, block.lifetime.end)
    return groups


class _Part:
    """Blocks as arrays, in sections of time between which nothing changes."""

    def __init__(self, blocks: list[Block], problem: Problem) -> None:
        self.blocks = blocks
        times = sorted({t for b in blocks for life, _ in b.rectangles for t in (life.start, life.end)})
        at = {time: section for section, time in enumerate(times)}
        self.sections = len(times) - 1
        self.start = np.array([at[b.lifetime.start] for b in blocks])
        self.end = np.array([at[b.lifetime.end] for b in blocks])
        self.size = np.array([b.bytes for b in blocks])
        self.align = np.array([problem.align_of(b) for b in blocks])
        self.gaps = np.array(problem.gaps, np.int64)
        self.bars = [b.barred for b in blocks]
        self.heights = [
            np.concatenate([np.full(at[life.end] - at[life.start], size) for life, size in b.rectangles])
            for b in blocks
        ]

    def fit(self, capacity: int, budget: SearchLimit, seed: int) -> dict[str, int] | int:
        """Return offsets below ``capacity``, ``IMPOSSIBLE``, or ``OPEN`` if the budget did not suffice."""
        if len(self.blocks) > MAX_BLOCKS:
            return OPEN
        from mcusim.memory.branch_core import FOUND, branch

        rng = np.random.default_rng(seed)
        count = len(self.blocks)
        blame = np.zeros(count)
        for turn, tries in enumerate(_lengths(len(self.orders))):
            if not budget.left:
                break
            place = self.orders[turn % len(self.orders)].astype(float)
            if turn >= len(self.orders):
                place += rng.normal(0, NOISE * count, count)
                place -= blame / max(blame.max(), 1.0) * count * rng.uniform(0, BLAME)
            order = np.argsort(place, kind="stable")
            fresh, offsets = np.zeros(count), np.zeros(count, np.int64)
            limit = min(RESTART * tries, budget.left)
            status, nodes = branch(self._shapes(order), self.sections, capacity, limit, fresh, offsets)
            budget.use(nodes)
            blame *= FORGET
            blame[order] += fresh
            if status == FOUND:
                return {self.blocks[block].name: int(at) for block, at in zip(order, offsets, strict=True)}
            if status == IMPOSSIBLE:
                return IMPOSSIBLE
        return OPEN

    @cached_property
    def orders(self) -> list[Ints]:
        """For each way to prefer blocks, the place of every block: by fullness, life, area, size."""
        live = np.zeros(self.sections, np.int64)
        for start, end, heights in zip(self.start, self.end, self.heights, strict=True):
            live[start:end] += heights
        full = np.array([live[a:b].max() for a, b in zip(self.start, self.end, strict=True)])
        life, area, size = self.end - self.start, np.array([h.sum() for h in self.heights]), self.size
        ways = ((full, life, area), (life, area, full), (full, area, life), (full, size, life), (size, life))
        places = []
        for way in ways:
            place = np.empty(len(full), np.int64)
            place[np.lexsort([-key for key in reversed(way)])] = np.arange(len(full))
            places.append(place)
        return places

    def _shapes(self, order: Ints) -> Shapes:
        from mcusim.memory.branch_state import Shapes

        heights = [self.heights[block] for block in order]
        first = np.cumsum([0, *(len(h) for h in heights[:-1])])
        twin = np.full(len(order), -1)
        seen: dict[tuple[Any, ...], int] = {}
        for number, block in enumerate(order):
            key = (
                self.start[block], self.end[block], self.align[block], self.bars[block],
                self.heights[block].tobytes(),
            )  # fmt: skip
            twin[number] = seen.get(key, -1)
            seen[key] = number
        start, end = self.start[order], self.end[order]
        there = [np.flatnonzero((start <= section) & (section < end)) for section in range(self.sections)]
        return Shapes(
            start, end, self.size[order], self.align[order], np.concatenate(heights),
            first, twin, np.concatenate(there), np.cumsum([0, *(len(blocks) for blocks in there)]),
            self.gaps, np.cumsum([0, *(len(self.bars[block]) for block in order)]),
            np.array([bar for block in order for bar in self.bars[block]], np.int64).reshape(-1, 2),
        )  # fmt: skip


def _lengths(repeat: int) -> Iterator[int]:
    """Yield 1 1 2 1 1 2 4 1 1 2 1 1 2 4 8 …, each number ``repeat`` times."""
    for turn in count(1):
        # The first number of the form 2**k - 1 that turn is, once what came before is taken off.
        while turn & (turn + 1):
            turn -= (1 << (turn.bit_length() - 1)) - 1
        yield from (((turn + 1) >> 1,) * repeat)
