"""Greedy planners: one a known order of blocks, each block at the lowest address it can have."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.memory.planners.orders import ORDERS, Order
from mcusim.memory.planners.placing import Placing
from mcusim.memory.planners.registry import PLANNERS
from mcusim.memory.problem import Problem, Solution


@dataclass(frozen=True, slots=True)
class Greedy:
    """Places the blocks in one order; ``seed``, ``effort`` and ``time_limit_s`` have no influence."""

    name: str
    order: Order

    def __call__(
        self,
        problem: Problem,
        /,
        *,
        seed: int = 0,
        effort: int | None = None,
        time_limit_s: float | None = None,
    ) -> Solution:  # fmt: skip
        """Return the placement; see `Planner`."""
        placing = Placing(problem)
        return placing.solution(self.name, placing.place_all(self.order(problem)))


GREEDY = tuple(Greedy(name, order) for name, order in ORDERS.items())
"""All of them, as ``best`` tries them: whatever it names as its winner can be asked for by that name."""

for _greedy in GREEDY:
    PLANNERS.register(_greedy.name)(_greedy)
