"""Blocks that fill a rectangle are joined; where one is left, it says where all lie."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcusim.core import Interval
from mcusim.memory.block import Block
from mcusim.memory.checker import check
from mcusim.memory.overlap import Overlap
from mcusim.memory.planners import PLANNERS
from mcusim.memory.planners.rectangles import filled
from mcusim.memory.problem import Problem, Status
from mcusim.memory.tilings import tiling


@pytest.mark.parametrize("planner", ["best", "rectangles"])
@pytest.mark.parametrize("count", [50, 100, 200, 500, 1000])
def test_tilings_are_solved(planner, count):
    problem = tiling(count, 0)
    solution = PLANNERS[planner](problem)
    check(problem, solution)
    assert solution.status is Status.OPTIMAL
    assert solution.height == problem.capacity


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 60), st.integers(0, 10**6), st.sampled_from([3, 9, 400]), st.sampled_from([4, 50, 1 << 16])
)
def test_what_is_filled_leaves_no_byte(count, seed, width, height):
    problem = tiling(min(count, width), seed, width=width, height=height)
    offsets = filled(problem, seconds=0.2)
    if offsets is not None:
        solution = PLANNERS["greedy_by_size"](problem)
        named = dict(zip((b.name for b in problem.blocks), offsets, strict=True))
        check(problem, replace(solution, offsets=named, height=height))
        assert max(at + b.bytes for at, b in zip(offsets, problem.blocks, strict=True)) == height


def test_where_more_is_asked_nothing_is_joined():
    problem = tiling(20, 0)
    assert filled(problem) is not None
    blocks = problem.blocks
    assert filled(replace(problem, gaps=(8,))) is None
    assert filled(replace(problem, align=1 << 15)) is None
    assert filled(replace(problem, blocks=blocks[1:])) is None  # a byte to spare
    first, second = Block("a", 8, Interval(0, 2)), Block("b", 8, Interval(1, 3))
    assert filled(Problem((first, second), overlaps=(Overlap("a", "b", 0),))) is None
    assert filled(Problem(())) is None


def test_a_placement_that_cannot_be_put_together_so_is_found_by_search():
    # Around a middle, each begins where the next one ends: no two of the five make a rectangle.
    rows = {"a": (0, 2, 1), "b": (2, 3, 2), "c": (1, 3, 1), "d": (0, 1, 2), "e": (1, 2, 1)}
    blocks = tuple(Block(name, size, Interval(a, b)) for name, (a, b, size) in rows.items())
    problem = Problem(blocks, capacity=3)
    assert filled(problem) is None
    assert PLANNERS["best"](problem).height == 3


@pytest.mark.parametrize("times", [2, 5000])
def test_thousands_in_a_row_and_thousands_at_once_are_joined(times: int) -> None:
    lives = [Interval(i % times, i % times + 1) for i in range(5000)]
    problem = Problem(tuple(Block(f"b{i}", 64, life) for i, life in enumerate(lives)))
    solution = PLANNERS["rectangles"](problem)
    check(problem, solution)
    assert (solution.winner, solution.height) == ("rectangles", 64 * 5000 // times)
