"""The default: every greedy order, then a climb from them."""

from __future__ import annotations

from dataclasses import replace

from mcusim.memory.planners.hill_climb import climb
from mcusim.memory.planners.orders import GREEDY_ORDERS
from mcusim.memory.planners.placing import Placing
from mcusim.memory.planners.registry import PLANNERS
from mcusim.memory.problem import Problem, Solution, Status


@PLANNERS.register("best")
def best(problem: Problem, /, *, seed: int = 0, effort: int | None = None) -> Solution:
    """Return the lowest placement of all greedy orders and of a hill climb that starts from them.

    Stops as soon as the liveness lower bound is reached, or one alignment above it, and does not
    climb where that bound proves that nothing fits. ``winner`` says which planner found the
    placement. ``effort`` is that of the climb, in placements of single blocks.
    """
    placing = Placing(problem)
    tried: list[tuple[Solution, list[int]]] = []
    for name, order_of in GREEDY_ORDERS.items():
        order = order_of(problem)
        solution = placing.solution("best", placing.place_all(order), winner=name)
        if solution.height <= placing.bound.padded_bytes:
            return solution
        tried.append((solution, order))
    tried.sort(key=lambda trial: trial[0].height)
    lowest = tried[0][0]
    if lowest.status is Status.INFEASIBLE:
        return replace(lowest, placements=placing.placements)
    offsets = climb(placing, [order for _, order in tried], seed=seed, effort=effort)
    climbed = placing.solution("best", offsets, winner="hill_climb")
    return climbed if climbed.height < lowest.height else replace(lowest, placements=placing.placements)
