"""Asking a planner for thousands of placements, and believing none of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mcusim.core import OutOfSram
from mcusim.memory import Planner, Problem, Status, check, lower_bound
from mcusim.testing.strategies import problems


def assert_planner(
    planner: Planner,
    *,
    examples: int = 100,
    max_blocks: int = 14,
    overlaps: bool = True,
    effort: int | None = 20_000,
) -> None:
    """Let ``planner`` place ``examples`` random problems, with and without a capacity, and check all it says.

    * every block has an offset, aligned, in bounds, and overlaps no other but where it may;
    * the height that is said is the real one, and not below the lower bound;
    * what is said to be proven is true: ``optimal`` only at the bound and within the capacity, ``infeasible``
      only where the bound is above it;
    * the same problem, seed and effort give the same placement.

    Raises:
        AssertionError: one of these does not hold.
        BadProblem: a placement is none. Hypothesis adds the smallest problem that it found.
    """

    @settings(max_examples=examples, deadline=None, report_multiple_bugs=False)
    @given(
        problem=problems(max_blocks=max_blocks, overlaps=overlaps),
        room=st.integers(-20, 20),
        bounded=st.booleans(),
    )
    def attack(problem: Problem, room: int, bounded: bool) -> None:
        bound = lower_bound(problem).bytes
        if bounded and bound + room > 0:
            problem = problem.with_capacity(bound + room)
        solution = planner(problem, seed=0, effort=effort)
        too_high = problem.capacity is not None and solution.height > problem.capacity
        try:
            check(problem, solution)
        except OutOfSram:
            assert too_high, "the checker and the height that is said differ"
        assert solution.height >= solution.lower_bound >= bound, "a height is below the lower bound"
        assert solution.fits is not too_high, (
            f"{solution.height} B in {problem.capacity} B are {solution.status}"
        )
        if solution.status is Status.OPTIMAL:
            assert solution.height == solution.lower_bound
        if solution.status is Status.INFEASIBLE:
            assert problem.capacity is not None
            assert solution.lower_bound > problem.capacity
        assert planner(problem, seed=0, effort=effort) == solution, "the same question has two answers"

    attack()
