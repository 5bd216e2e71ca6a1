"""Every planner against the checker, the bound and brute force."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcusim.core import Interval, MissingPackage, OutOfSram, UnknownName
from mcusim.memory.block import Block
from mcusim.memory.bound import lower_bound
from mcusim.memory.checker import check
from mcusim.memory.overlap import Overlap
from mcusim.memory.planners import PLANNERS, best, branch_and_bound, exact, hill_climb
from mcusim.memory.planners import placing as placing_module
from mcusim.memory.planners.greedy import GREEDY
from mcusim.memory.planners.orders import ORDERS
from mcusim.memory.planners.placing import Placing
from mcusim.memory.planners.residents import stacked
from mcusim.memory.problem import Problem, Status
from mcusim.testing import problems

HEURISTICS = tuple(PLANNERS[name] for name in PLANNERS if name != "exact")
"""Every planner but the one whose work grows without bound."""
greedy_by_size, greedy_by_lifetime = PLANNERS["greedy_by_size"], PLANNERS["greedy_by_lifetime"]


def optimum(problem: Problem) -> int:
    """The lowest height over all orders of placing blocks as low as they go; one of them is optimal."""
    placing = Placing(problem)
    heights = []
    for order in permutations(range(len(problem.blocks))):
        offsets = placing.place_all(order)
        heights.append(max((o + b.bytes for o, b in zip(offsets, problem.blocks, strict=True)), default=0))
    return min(heights)


@given(problem=problems())
def test_invariant_1_planned_blocks_are_aligned_in_bounds_and_never_overlap(problem: Problem) -> None:
    for planner in HEURISTICS:
        check(problem, planner(problem, effort=20_000))


@given(problem=problems())
def test_invariant_4_planned_peak_is_at_least_the_lower_bound(problem: Problem) -> None:
    bound = lower_bound(problem)
    for planner in HEURISTICS:
        solution = planner(problem, effort=20_000)
        assert solution.height >= solution.lower_bound >= bound.bytes
        assert solution.lower_bound == bound.bytes or planner is branch_and_bound  # which may prove more
        assert (solution.status is Status.OPTIMAL) == (solution.height == solution.lower_bound)


@settings(max_examples=40, deadline=None)
@given(problem=problems(max_blocks=5, max_bytes=12, max_time=6))
def test_invariant_4_exact_equals_brute_force(problem: Problem) -> None:
    pytest.importorskip("ortools")
    solution = exact(problem)
    check(problem, solution)
    assert solution.status is Status.OPTIMAL
    assert solution.height == solution.lower_bound == optimum(problem)


@given(problem=problems(max_blocks=8), data=st.data())
def test_invariant_7_a_sparser_problem_never_raises_the_lower_bound(
    problem: Problem, data: st.DataObject
) -> None:
    keep = [b for b in problem.blocks if data.draw(st.booleans())]
    thinner = [
        Block(b.name, data.draw(st.integers(1, b.bytes)), b.lifetime, b.role, b.align)
        if b.bytes and not b.shrinks
        else b
        for b in keep
    ]
    names = {b.name for b in keep}
    among = tuple(o for o in problem.overlaps if {o.old, o.new} <= names)
    fewer = Problem(tuple(keep), align=problem.align, overlaps=among)
    assert lower_bound(fewer).bytes <= lower_bound(problem).bytes
    # How far blocks may overlap depends on their sizes, so thinner ones are compared with blocks that do not.
    apart = lower_bound(Problem(problem.blocks, align=problem.align)).bytes
    assert lower_bound(Problem(tuple(thinner), align=problem.align)).bytes <= apart


def test_best_is_never_worse_than_the_others_and_names_the_winner(training_problem) -> None:
    for seed in range(6):
        problem = training_problem(seed)
        solution = best(problem)
        check(problem, solution)
        assert solution.planner == "best"
        slack = lower_bound(problem).padded_bytes - lower_bound(problem).bytes
        for other in HEURISTICS:
            assert solution.height <= other(problem).height + slack


@given(problem=problems())
def test_whatever_best_names_as_winner_can_be_asked_for(problem: Problem) -> None:
    solution = best(problem, seed=3, effort=20_000)
    effort = {} if solution.winner in ORDERS else {"effort": 20_000}
    again = PLANNERS[solution.winner](problem, seed=3, **effort)
    assert dict(again.offsets) == dict(solution.offsets)


def test_every_order_that_best_tries_is_a_planner_and_can_win() -> None:
    assert {greedy.name for greedy in GREEDY} == {*ORDERS}
    assert {*ORDERS} < {*PLANNERS.names()}
    for greedy in GREEDY:
        assert PLANNERS[greedy.name] is greedy


def test_residents_go_to_the_bottom_and_cost_no_height(training_problem) -> None:
    problem = training_problem(4)
    parts = stacked(problem)
    assert set(parts.residents) == {b.name for b in problem.blocks if len(b.lifetime) == 61}
    assert parts.base + lower_bound(parts.rest).padded_bytes == lower_bound(problem).padded_bytes
    only = Problem((Block("a", 3, Interval(0, 2)), Block("b", 5, Interval(0, 2), align=8)))
    assert stacked(only).residents == {"b": 0, "a": 5}
    assert hill_climb(only).height == 8


def test_planners_are_deterministic(training_problem) -> None:
    problem = training_problem(7, layers=30)
    for planner in HEURISTICS:
        assert planner(problem, seed=3, effort=100_000) == planner(problem, seed=3, effort=100_000)


def test_a_shrinking_block_leaves_room_for_others() -> None:
    # In place, stride 2: 400 bytes become 100, and 300 bytes fit into what is left.
    problem = Problem(
        (Block("dw", 400, Interval(0, 4), shrinks=((2, 100),)), Block("x", 300, Interval(2, 4)))
    )
    for name in ("best", "greedy_by_size", "greedy_by_lifetime", "hill_climb", "exact"):
        solution = PLANNERS[name](problem)
        check(problem, solution)
        assert (solution.height, dict(solution.offsets)) == (400, {"dw": 0, "x": 100})


def test_exact_finds_what_greedy_misses() -> None:
    pytest.importorskip("ortools")
    problem = Problem(
        tuple(
            Block(f"b{i}", size, Interval(a, b))
            for i, (a, b, size) in enumerate(
                [(0, 3, 4), (3, 9, 4), (0, 9, 4), (9, 21, 4), (0, 21, 4), (1, 4, 3), (3, 7, 2), (6, 11, 5)]
            )
        )
    )
    solution = exact(problem)
    check(problem, solution)
    assert solution.status is Status.OPTIMAL
    assert solution.height <= min(planner(problem).height for planner in HEURISTICS)


def test_statuses_say_what_is_proven(training_problem) -> None:
    problem = training_problem(0)
    bound = lower_bound(problem).bytes
    assert best(problem.with_capacity(bound - 1)).status is Status.INFEASIBLE
    assert not best(problem.with_capacity(bound - 1)).fits
    loose = greedy_by_size(problem.with_capacity(10 * bound))
    assert loose.fits
    with pytest.raises(OutOfSram) as caught:
        check(problem.with_capacity(bound - 1), best(problem.with_capacity(bound - 1)))
    assert caught.value.missing_bytes >= 1
    assert caught.value.live


def test_greedy_by_size_places_the_largest_first() -> None:
    problem = Problem((Block("s", 10, Interval(0, 2)), Block("l", 20, Interval(1, 3))))
    assert dict(greedy_by_size(problem).offsets) == {"s": 20, "l": 0}
    assert (
        dict(greedy_by_lifetime(Problem((*problem.blocks, Block("t", 1, Interval(0, 9))))).offsets)["t"] == 0
    )


def test_the_empty_problem_and_empty_blocks_need_nothing() -> None:
    empty = Problem((Block("none", 0, Interval(0, 1)), Block("no", 0, Interval(0, 1))), capacity=1)
    for problem in (Problem(()), empty):
        for planner in (*HEURISTICS, exact):
            solution = planner(problem)
            check(problem, solution)
            assert (solution.height, solution.status) == (0, Status.OPTIMAL)


def test_unknown_planners_suggest_the_nearest() -> None:
    with pytest.raises(UnknownName, match="greedy_by_size"):
        PLANNERS["greedy_by_siz"]


def test_exact_without_ortools_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ortools.sat.python", None)
    # One byte of alignment above the bound keeps the greedy planners from being proven right.
    problem = Problem((Block("a", 5, Interval(0, 1), align=8), Block("b", 5, Interval(0, 1), align=8)))
    with pytest.raises(MissingPackage, match=r"mcusim\[exact\]"):
        exact(problem)


def lowest(problem: Problem, index: int, placed: dict[int, int]) -> int:
    """The lowest offset of a block beside those placed, tried one after the other."""
    block = problem.blocks[index]
    align = problem.align_of(block)

    def free(offset: int) -> bool:
        for other, at in placed.items():
            names = {problem.blocks[other].name, block.name}
            pair = next((p for p in problem.pairs if {p.old.name, p.new.name} == names), None)
            if pair is not None and pair.allows(*((at, offset) if pair.new is block else (offset, at))):
                continue
            for mine, size in block.rectangles:
                for theirs, bytes_ in problem.blocks[other].rectangles:
                    together = mine.start < theirs.end and theirs.start < mine.end
                    if together and offset < at + bytes_ and at < offset + size:
                        return False
        return problem.crossed(offset, block.bytes) is None

    return next(offset for offset in range(0, 10_000, align) if free(offset))


@pytest.mark.parametrize("long", [0, 10**9], ids=["compiled", "plain"])
@given(problem=problems(max_blocks=8), data=st.data())
def test_every_block_lies_as_low_as_it_can(long: int, problem: Problem, data: st.DataObject) -> None:
    gaps = tuple(sorted(data.draw(st.sets(st.integers(1, 300), max_size=3))))
    problem = replace(problem, gaps=gaps)
    order = data.draw(st.permutations(range(len(problem.blocks))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placing_module, "LONG", long)
        placing = Placing(problem)
        offsets = placing.place_all(order)
    placed: dict[int, int] = {}
    for index in order:
        if problem.blocks[index].bytes:
            assert offsets[index] == lowest(problem, index, placed)
            placed[index] = offsets[index]


@given(problem=problems())
def test_a_compiled_search_gives_what_the_plain_one_gives(problem: Problem) -> None:
    found = []
    for long in (0, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(placing_module, "LONG", long)
            found.append(hill_climb(problem, effort=3_000))
    assert found[0] == found[1]


def test_a_problem_may_have_any_number_of_pairs() -> None:
    blocks = tuple(Block(f"b{i}", 1 + i % 3, Interval(i % 7, 4_000)) for i in range(4_000))
    solution = best(Problem(blocks))
    assert solution.status is Status.OPTIMAL
    assert solution.height == sum(block.bytes for block in blocks)


def test_few_blocks_whose_bound_is_out_of_reach_are_not_climbed_for_long() -> None:
    shrinking = [Block(name, 9, Interval(3, 9), align=4, shrinks=((5, 2),)) for name in "ab"]
    found = hill_climb(Problem(tuple(shrinking)))
    assert found.height > found.lower_bound
    assert found.work < 200


@pytest.mark.oracle
def test_best_is_never_worse_than_velas_hill_climb(training_problem) -> None:
    vela = pytest.importorskip("ethosu.vela.hillclimb_allocation")

    class Range:
        def __init__(self, block: Block, align: int) -> None:
            self.start_time, self.end_time = block.lifetime.start, block.lifetime.end - 1
            self.size = -(-block.bytes // align) * align
            self._align = align

        def get_alignment(self) -> int:
            return self._align

    for seed in range(12):
        problem = training_problem(seed, layers=40)
        ranges = [Range(block, problem.align) for block in problem.blocks]
        offsets = vela.HillClimbAllocator(ranges, 2_000, 2**40).allocate()
        theirs = max(offset + r.size for offset, r in zip(offsets, ranges, strict=True))
        ours = -(-best(problem).height // problem.align) * problem.align
        assert ours <= theirs, seed


def test_a_placement_that_is_too_high_is_told_also_where_blocks_without_bytes_share_an_offset() -> None:
    empty = tuple(Block(name, 0, Interval(0, 1)) for name in ("a", "b"))
    problem = Problem((*empty, Block("c", 9, Interval(0, 1))), capacity=8)
    with pytest.raises(OutOfSram, match="1 B are missing"):
        check(problem, best(problem))


def test_what_two_blocks_share_with_a_third_they_share_once() -> None:
    lives = {"old": Interval(0, 2), "one": Interval(1, 3), "two": Interval(1, 3)}
    blocks = tuple(Block(name, 1, life) for name, life in lives.items())
    overlaps = (Overlap("old", "one", 0), Overlap("old", "two", 0))
    problem = Problem(blocks, overlaps=overlaps)
    assert lower_bound(problem).bytes == exact(problem).height == 2
