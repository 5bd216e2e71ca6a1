"""The default: every greedy order, then a climb from the best of them."""

from __future__ import annotations

from dataclasses import replace

from mcusim.memory.planners.hill_climb import climb
from mcusim.memory.planners.orders import by_area, by_lifetime, by_pressure, by_size
from mcusim.memory.planners.placing import Placing
from mcusim.memory.planners.registry import PLANNERS
from mcusim.memory.problem import Problem, Solution

ORDERS = {
    "greedy_by_size": by_size,
    "greedy_by_lifetime": by_lifetime,
    "greedy_by_pressure": by_pressure,
    "greedy_by_area": by_area,
}


@PLANNERS.register("best")
def best(problem: Problem, /, *, seed: int = 0, effort: int | None = None) -> Solution:
    """Return the lowest placement of all greedy orders and of a hill climb from the best one.

    Stops as soon as the liveness lower bound is reached; ``winner`` says which planner found the
    placement. ``effort`` is that of the climb, in placements of single blocks.
    """
    placing = Placing(problem)
    lowest: Solution | None = None
    start: list[int] = []
    for name, order_of in ORDERS.items():
        order = order_of(problem)
        offsets = placing.place_all(order)
        solution = placing.solution("best", offsets, winner=name)
        if lowest is None or solution.height < lowest.height:
            lowest, start = solution, order
        if lowest.height <= lowest.lower_bound:
            return lowest
    assert lowest is not None
    offsets = climb(placing, start, seed=seed, effort=effort)
    climbed = placing.solution("best", offsets, winner="hill_climb")
    return climbed if climbed.height < lowest.height else replace(lowest, placements=placing.placements)
