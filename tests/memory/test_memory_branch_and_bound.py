"""The exact search among canonical placements: against brute force, tilings, and public problems."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_memory_planners import optimum, problems

from mcusim.core import BadArgument
from mcusim.memory.checker import check
from mcusim.memory.csv import read_csv
from mcusim.memory.planners import best, branch_and_bound
from mcusim.memory.planners.branch_and_bound import SearchLimit, _lengths, improve
from mcusim.memory.problem import Problem, Solution, Status
from mcusim.memory.tilings import tiling


@settings(max_examples=60, deadline=None)
@given(
    problem=problems(max_blocks=5, max_bytes=12, max_time=6, overlaps=False),
    gaps=st.lists(st.integers(1, 40), max_size=2, unique=True).map(sorted),
)
def test_no_block_of_the_lowest_placement_lies_across_a_gap(problem: Problem, gaps: list[int]) -> None:
    problem = replace(problem, gaps=tuple(gaps))
    solution = branch_and_bound(problem)
    check(problem, solution)
    assert (solution.height, solution.status) == (optimum(problem), Status.OPTIMAL)


@settings(max_examples=60, deadline=None)
@given(problem=problems(max_blocks=6, max_bytes=12, max_time=6, overlaps=False))
def test_the_lowest_placement_equals_brute_force(problem: Problem) -> None:
    solution = branch_and_bound(problem)
    check(problem, solution)
    assert (solution.height, solution.status) == (optimum(problem), Status.OPTIMAL)


@settings(max_examples=60, deadline=None)
@given(problem=problems(max_blocks=6, max_bytes=12, max_time=6, overlaps=False), less=st.integers(0, 3))
def test_a_capacity_is_met_or_proven_impossible(problem: Problem, less: int) -> None:
    lowest = optimum(problem)
    capacity = max(lowest - less, 1)
    solution = branch_and_bound(problem.with_capacity(capacity))
    assert solution.fits == (lowest <= capacity)
    if solution.fits:
        check(problem.with_capacity(capacity), solution)
    else:
        assert solution.status is Status.INFEASIBLE
        assert capacity < solution.lower_bound <= lowest


@pytest.mark.parametrize(("count", "seed"), [(50, 0), (50, 1), (50, 2), (100, 0), (100, 1)])
def test_tilings_without_a_spare_byte_are_solved(count: int, seed: int) -> None:
    problem = tiling(count, seed)
    solution = branch_and_bound(problem)
    check(problem, solution)
    assert solution.height == problem.capacity


def test_without_time_or_nodes_the_greedy_placement_is_returned() -> None:
    problem = tiling(60, 3)
    for solution in (branch_and_bound(problem, time_limit_s=0), branch_and_bound(problem, effort=0)):
        check(problem.with_capacity(None), solution)
        assert (solution.status, solution.winner) == (Status.UNKNOWN, "greedy_by_size")
    with pytest.raises(BadArgument, match="time limit"):
        branch_and_bound(problem, time_limit_s=-1)


def test_an_interrupt_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    import mcusim.memory.branch_core as core

    problem = tiling(60, 4)
    first = branch_and_bound(problem, effort=0)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(core, "branch", interrupted)
    assert improve(first, problem, SearchLimit(1000)).offsets == first.offsets


def test_the_same_seed_gives_the_same_placement() -> None:
    problem = tiling(80, 5)
    assert branch_and_bound(problem, seed=1, effort=50_000) == branch_and_bound(
        problem, seed=1, effort=50_000
    )


def test_lengths_of_tries_follow_luby() -> None:
    found = _lengths(1)
    assert [next(found) for _ in range(15)] == [1, 1, 2, 1, 1, 2, 4, 1, 1, 2, 1, 1, 2, 4, 8]
    twice = _lengths(2)
    assert [next(twice) for _ in range(6)] == [1, 1, 1, 1, 2, 2]


@pytest.mark.data
@pytest.mark.parametrize("name", ["B", "C", "F", "H", "J"])
def test_public_problems_are_solved(data_dir: Path, name: str) -> None:
    """Those of MiniMalloc's eleven that take a second or less; ``benchmarks/pack.py`` has all."""
    problem = read_csv(data_dir / "minimalloc" / f"{name}.1048576.csv", capacity=1_048_576)
    solution: Solution = best(problem)
    check(problem, solution)
    assert solution.fits
