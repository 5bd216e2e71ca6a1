"""The exact search among canonical placements: against brute force, tilings, and public problems."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_memory_planners import optimum, problems

from mcusim.core import BadArgument, Interval
from mcusim.memory.block import Block
from mcusim.memory.checker import check
from mcusim.memory.csv import read_csv
from mcusim.memory.planners import best, branch_and_bound
from mcusim.memory.planners.branch_and_bound import improve
from mcusim.memory.planners.branch_part import OPEN, BranchPart, _lengths
from mcusim.memory.planners.search_limit import SearchLimit
from mcusim.memory.planners.waists import PiecewiseSearch, waists
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


@pytest.mark.parametrize(("gaps", "barred"), [((4,), ()), ((), ((4, 99),))])
def test_what_lives_all_the_time_need_not_lie_at_the_bottom(gaps, barred) -> None:
    """Where others fit only there: they cross a gap above it, or may not lie higher."""
    few = tuple(Block(name, 2, Interval(0, 1), barred=barred) for name in "bc")
    problem = Problem((Block("a", 3, Interval(0, 2)), *few), capacity=7, gaps=gaps)
    solution = branch_and_bound(problem)
    check(problem, solution)
    assert (solution.height, solution.status) == (7, Status.OPTIMAL)


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


def later(life: Interval, ops: int) -> Interval:
    return Interval(life.start + ops, life.end + ops)


def in_a_row(count: int, blocks: int, *, through: int) -> Problem:
    """Return tilings one after the other, a block that lives through all, and one across each border."""
    tilings = [tiling(blocks, seed) for seed in range(count)]
    length = 1 + max(block.lifetime.end for case in tilings for block in case.blocks)
    moved = [
        replace(b, name=f"{turn} {b.name}", lifetime=later(b.lifetime, length * turn))
        for turn, case in enumerate(tilings) for b in case.blocks
    ]  # fmt: skip
    borders = [
        Block(f"border {turn}", through, Interval(length * turn - 1, length * turn + 1))
        for turn in range(1, count)
    ]
    whole = Block("whole", through, Interval(0, length * count))
    capacity = max(case.capacity or 0 for case in tilings)
    return Problem((*moved, *borders, whole), capacity + 2 * through)


def test_what_lies_between_waists_is_searched_by_itself() -> None:
    problem = in_a_row(4, 20, through=7)
    part = BranchPart(list(problem.blocks), problem)
    cuts = waists(part, problem.capacity)
    assert sum(map(len, cuts)) >= 3
    found = PiecewiseSearch(part, cuts, problem.capacity, 0).go_on(SearchLimit(200_000))
    assert isinstance(found, dict)
    solution = Solution(found, problem.capacity, "pieces", Status.FEASIBLE, 0)
    check(problem, solution)
    assert PiecewiseSearch(part, cuts, problem.capacity - 1, 0).go_on(SearchLimit(10_000)) == OPEN


def test_what_has_gaps_or_one_piece_is_not_cut() -> None:
    problem = in_a_row(2, 20, through=7)
    first = problem.blocks[0]
    assert waists(BranchPart(list(problem.blocks), problem), problem.capacity)
    gapped = replace(problem, gaps=(problem.capacity + 1,))
    assert not waists(BranchPart(list(gapped.blocks), gapped), gapped.capacity)
    assert not waists(BranchPart([first], replace(problem, blocks=(first,))), problem.capacity)


@pytest.mark.data
@pytest.mark.parametrize("name", ["B", "C", "F", "H", "I", "J"])
def test_public_problems_are_solved(data_dir: Path, name: str) -> None:
    """Those of MiniMalloc's eleven that take two seconds or less; ``benchmarks/pack.py`` has all."""
    problem = read_csv(data_dir / "minimalloc" / f"{name}.1048576.csv", capacity=1_048_576)
    solution: Solution = best(problem)
    check(problem, solution)
    assert solution.fits
