"""Largest block first."""

from __future__ import annotations

from mcusim.memory.planners.orders import by_size
from mcusim.memory.planners.placing import Placing
from mcusim.memory.planners.registry import PLANNERS
from mcusim.memory.problem import Problem, Solution


@PLANNERS.register("greedy_by_size")
def greedy_by_size(problem: Problem, /, *, seed: int = 0, effort: int | None = None) -> Solution:
    """Place the largest block first, each at the lowest address it can have.

    ``seed`` and ``effort`` have no influence.
    """
    placing = Placing(problem)
    return placing.solution("greedy_by_size", placing.place_all(by_size(problem)))
