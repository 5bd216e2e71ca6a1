"""An allocation problem from anywhere, solved and checked."""

from __future__ import annotations

from pathlib import Path

from mcusim.core.units import parse_bytes
from mcusim.memory.checker import check
from mcusim.memory.csv import read_csv
from mcusim.memory.planners import PLANNERS
from mcusim.memory.problem import Problem, Solution


def pack(
    problem: Problem | str | Path,
    *,
    planner: str = "best",
    capacity: str | int | None = None,
    align: int = 1,
    effort: int | None = None,
    seed: int = 0,
    time_limit_s: float | None = None,
) -> Solution:
    """Give every block of an allocation problem an offset; no two that live together overlap.

    Args:
        problem: a problem, e.g. a plan's, or a CSV file in the minimalloc form.
        planner: which of ``mcusim.planners()`` places the blocks.
        capacity: bytes there are, e.g. ``"1MiB"``; that of the problem if not given.
        align: every offset is a multiple of this power of two; for files, problems have their own.
        effort: work to spend, in the planner's own unit; its default if not given.
        seed: for planners that draw.
        time_limit_s: seconds after which the best placement found so far counts.

    Returns:
        The placement, checked; ``solution.fits`` says whether it is within the capacity.

    Raises:
        UnknownName: if there is no such planner; suggests the nearest.
        BadProblem: if the file is missing or breaks any rule, with the row.
    """
    if not isinstance(problem, Problem):
        problem = read_csv(problem, align=align)
    if capacity is not None:
        problem = problem.with_capacity(parse_bytes(capacity))
    solution = PLANNERS[planner](problem, seed=seed, effort=effort, time_limit_s=time_limit_s)
    check(problem.with_capacity(None), solution)
    return solution
