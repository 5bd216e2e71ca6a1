"""Hill climbing over the order in which blocks are placed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import factorial
from time import monotonic

from mcusim.core.counted import tell
from mcusim.memory.bound import lower_bound
from mcusim.memory.planners.orders import ORDERS
from mcusim.memory.planners.placing import Placing
from mcusim.memory.planners.registry import PLANNERS
from mcusim.memory.planners.residents import stacked
from mcusim.memory.problem import Problem, Solution, judge

DEFAULT_EFFORT = 2_000_000
"""Looks at placed blocks: half a second or so."""
EVERY_ORDER = 20
FEW = 10
"""Blocks; of more there are too many orders to try them all."""
PATIENCE = 80
"""Steps without gain after which the climb starts again from another order."""


@PLANNERS.register("hill_climb")
def hill_climb(
    problem: Problem, /, *, seed: int = 0, effort: int | None = None, time_limit_s: float | None = None
) -> Solution:
    """Improve greedy orders step by step until the lower bound or the ``effort`` is reached.

    ``effort`` counts looks at placed blocks, by default ``DEFAULT_EFFORT``; ``seed`` drives the
    choice of steps; at ``time_limit_s`` it ends with what it has. Blocks that live all the time go to
    the bottom and take no part in the search.
    """
    parts = stacked(problem)
    placing = Placing(parts.rest)
    starts = [order_of(parts.rest) for order_of in ORDERS.values()]
    end = None if time_limit_s is None else monotonic() + time_limit_s
    effort = min(DEFAULT_EFFORT if effort is None else effort, _exhausting(len(parts.rest.blocks)))
    found = climb(placing, starts, seed=seed, effort=effort, until=end)
    above = {b.name: parts.base + o for b, o in zip(parts.rest.blocks, found, strict=True)}
    placed = {**parts.residents, **above}
    offsets = {b.name: placed[b.name] if b.bytes else 0 for b in problem.blocks}
    height = max((offsets[b.name] + b.bytes for b in problem.blocks), default=0)
    bound = lower_bound(problem).bytes
    return Solution(
        offsets, height, "hill_climb", judge(problem, height, bound), bound,
        winner="hill_climb", work=placing.work,
    )  # fmt: skip


def climb(
    placing: Placing, starts: Sequence[Sequence[int]], *, seed: int, effort: int, until: float | None = None
) -> list[int]:
    """Return the offsets of the lowest placement found from the orders ``starts`` on.

    A step looks at the blocks that reach highest and at those that hold them up, directly or
    through others, and changes the turns of two of them. Steps to equal heights are kept, so that
    the climb can cross plateaus. Without gain for a while it goes on from the next start; it ends
    at the bound, or within one alignment of it, or when the clock reads ``until``.
    """
    rng = random.Random(seed)
    begun = placing.work
    end = begun + effort
    best_offsets: list[int] = []
    best_height = -1
    for round_ in range(max(end, 1)):
        hill = _Hill(placing, list(starts[round_ % len(starts)]))
        stuck = 0
        while hill.height > placing.bound.padded_bytes and placing.work < end and stuck < PATIENCE:
            if until is not None and monotonic() >= until:
                end = placing.work
            stuck = 0 if hill.step(rng) else stuck + 1
            tell(min(placing.work - begun, effort), effort)
        if best_height < 0 or hill.height < best_height:
            best_offsets, best_height = hill.offsets, hill.height
        if best_height <= placing.bound.padded_bytes or placing.work >= end:
            break
    return best_offsets


def _exhausting(blocks: int) -> int:
    """Return looks at placed blocks after which a few blocks have been tried in every order, many times."""
    return EVERY_ORDER * blocks * factorial(min(blocks, FEW))


class _Hill:
    """One order with its placement, and the turns worth changing."""

    def __init__(self, placing: Placing, order: list[int]) -> None:
        self._placing = placing
        self._order = order
        self.offsets = placing.place_all(order)
        self.height = max((o + s for o, s in zip(self.offsets, placing.sizes, strict=True)), default=0)
        self._turns = self._find_turns()

    def step(self, rng: random.Random) -> bool:
        """Try one change and keep it unless it is higher; return whether it is lower."""
        if len(self._turns) < 2:
            return False
        first, second = sorted(rng.sample(self._turns, 2))
        order = self._order.copy()
        if rng.random() < 0.5:
            order[first], order[second] = order[second], order[first]
        else:
            order.insert(first, order.pop(second))
        offsets = self.offsets.copy()
        height = self._placing.place(order, offsets, start=first, limit=self.height)
        if height > self.height:
            return False
        sizes = self._placing.sizes
        height = max(height, max((offsets[i] + sizes[i] for i in order[:first]), default=0))
        gained = height < self.height
        self._order, self.offsets, self.height = order, offsets, height
        self._turns = self._find_turns()
        return gained

    def _find_turns(self) -> list[int]:
        """Return the turns of the highest blocks and of all blocks that hold them up, sorted."""
        return self._placing.supports(self._order, self.offsets, self.height)
