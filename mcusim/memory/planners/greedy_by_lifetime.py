"""Longest-lived block first."""

from __future__ import annotations

from mcusim.memory.planners.orders import by_lifetime
from mcusim.memory.planners.placing import Placing
from mcusim.memory.planners.registry import PLANNERS
from mcusim.memory.problem import Problem, Solution


@PLANNERS.register("greedy_by_lifetime")
def greedy_by_lifetime(problem: Problem, /, *, seed: int = 0, effort: int | None = None) -> Solution:
    """Place the longest-lived block first, each at the lowest address it can have.

    ``seed`` and ``effort`` have no influence.
    """
    placing = Placing(problem)
    return placing.solution("greedy_by_lifetime", placing.place_all(by_lifetime(problem)))
