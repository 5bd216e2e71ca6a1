"""Exact search among canonical placements, with restarts."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle
from math import gcd

from mcusim.memory.block import Block
from mcusim.memory.planners.branch_part import IMPOSSIBLE, MAX_BLOCKS, OPEN, BranchPart, PartSearch
from mcusim.memory.planners.orders import by_size
from mcusim.memory.planners.placing import Placing
from mcusim.memory.planners.registry import PLANNERS
from mcusim.memory.planners.residents import Stacked, stacked
from mcusim.memory.planners.search_limit import SearchLimit
from mcusim.memory.planners.waists import PiecewiseSearch, waists
from mcusim.memory.problem import Problem, Solution, judge

DEFAULT_EFFORT = 20_000_000
"""Nodes of the search trees: minutes."""
WHOLE, PIECES = 50_000, 100_000
"""Nodes by turns of a search over all times, and of one between waists, where there are some."""


@PLANNERS.register("branch_and_bound")
def branch_and_bound(
    problem: Problem, /, *, seed: int = 0, effort: int | None = None,
    time_limit_s: float | None = None,
) -> Solution:  # fmt: skip
    """Search until the blocks fit the capacity; without one, for the lowest placement.

    Many short tries instead of a long one, since a try that goes wrong early rarely recovers. Their
    lengths follow M. Luby, A. Sinclair, D. Zuckerman, "Optimal speedup of Las Vegas algorithms" (1993).
    The order in which blocks are preferred changes from try to try, and those that could not be placed
    come earlier in the next. A try that ends by itself is a proof that nothing fits. Where few bytes live on
    at some times, tries between these take turns with tries at the whole (``waists``).

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


class _Search:
    """A problem in parts that can be searched one by one."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem, self._seed = problem, seed
        parts = stacked(problem)
        aligned = max((problem.align_of(b) for b in problem.blocks), default=1)
        uneven = any(b.bytes % aligned for b in problem.blocks if b.name in parts.residents)
        if uneven or problem.gaps or problem.barred:
            parts = Stacked({}, 0, problem)  # at the bottom, residents may cost rounding, or keep others out
        self._below = parts
        solid = [b for b in parts.rest.blocks if b.bytes]
        size = gcd(*(size for b in problem.blocks for _, size in b.rectangles))
        rounded = [align for b in problem.blocks if size % (align := problem.align_of(b))]
        shared = [-(-overlap.distance // aligned) * aligned for overlap in problem.overlaps]
        bars = [edge for b in problem.blocks for bar in b.barred for edge in bar]
        self._unit = gcd(size, *rounded, *problem.gaps, *bars, *shared) or 1
        """Every height is a multiple of it: a sum of sizes, rounded up to those alignments at times."""
        self._parts = [BranchPart(blocks, problem) for blocks in _apart(solid)]

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
            found = _fit(part, capacity - base, budget, self._seed)
            if isinstance(found, int):
                # Blocks that may overlap are kept apart here, so that what fails is not proven impossible.
                return OPEN if self._problem.overlaps else found
            offsets |= {name: base + offset for name, offset in found.items()}
        return offsets


def _fit(part: BranchPart, capacity: int, budget: SearchLimit, seed: int) -> dict[str, int] | int:
    """Return offsets below ``capacity``, ``IMPOSSIBLE``, or ``OPEN`` if the budget did not suffice."""
    searches: list[tuple[PartSearch | PiecewiseSearch, int]] = [(PartSearch(part, capacity, seed), WHOLE)]
    if cuts := waists(part, capacity):
        searches.append((PiecewiseSearch(part, cuts, capacity, seed), PIECES))
    if len(part.blocks) <= MAX_BLOCKS:
        for search, nodes in cycle(searches):
            if not (left := budget.left):
                break
            found = search.go_on(budget.share(left if len(searches) == 1 else min(nodes, left)))
            if found != OPEN:
                return found
    return OPEN


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
