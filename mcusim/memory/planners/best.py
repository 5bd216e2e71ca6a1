"""The default: every greedy order, then a hill climb, then branch and bound where a capacity asks for it."""

from __future__ import annotations

from dataclasses import replace

from mcusim.memory.planners.branch_and_bound import improve
from mcusim.memory.planners.greedy import GREEDY
from mcusim.memory.planners.hill_climb import hill_climb
from mcusim.memory.planners.placing import Placing
from mcusim.memory.planners.rectangles import filled
from mcusim.memory.planners.registry import PLANNERS
from mcusim.memory.planners.search_limit import SearchLimit
from mcusim.memory.problem import Problem, Solution, Status

SEARCH_EFFORT = 10_000_000
"""Nodes of the branch and bound: a minute or two."""


@PLANNERS.register("best")
def best(
    problem: Problem, /, *, seed: int = 0, effort: int | None = None, time_limit_s: float | None = None
) -> Solution:
    """Return the lowest placement of all greedy orders and of a hill climb; ``winner`` says whose it is.

    Stops as soon as the liveness lower bound is reached, or one alignment above it, and does not
    climb where that bound proves that nothing fits. Where the climb ends above the capacity, branch
    and bound goes on until the blocks fit, or cannot, or its own default effort is spent. ``effort``
    is that of the climb, and if given the branch and bound visits a hundredth as many nodes.
    """
    budget = SearchLimit(SEARCH_EFFORT if effort is None else effort // 100, time_limit_s)
    placing = Placing(problem)
    lowest: Solution | None = None
    for greedy in GREEDY:
        offsets = placing.place_all(greedy.order(problem))
        solution = placing.solution("best", offsets, winner=greedy.name)
        if lowest is None or solution.height < lowest.height:
            lowest = solution
        if lowest.height <= placing.bound.padded_bytes:
            return lowest
    assert lowest is not None
    joined = filled(problem, seed=seed, seconds=budget.seconds_left)
    if joined is not None:
        return placing.solution("best", joined, winner="rectangles")
    if lowest.status is not Status.INFEASIBLE:
        climbed = hill_climb(problem, seed=seed, effort=effort, time_limit_s=time_limit_s)
        work = placing.work + climbed.work
        lowest = replace(min(lowest, climbed, key=lambda s: s.height), planner="best", work=work)
    if lowest.status is Status.UNKNOWN:
        lowest = improve(lowest, problem, budget, seed=seed)
    return lowest
