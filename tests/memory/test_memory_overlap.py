"""Blocks that may overlap: what the rule allows, what it is worth, and who keeps to it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mcusim.core import BadProblem, Interval
from mcusim.memory import Block, Overlap, Problem, check_offsets, lower_bound
from mcusim.memory.arena import fenced
from mcusim.memory.csv import read_solution, write_csv
from mcusim.memory.planners import PLANNERS

SIZES = st.integers(1, 40)


def problem(old: int, new: int, distance: int, *more: Block, align: int = 1) -> Problem:
    """Return a block that dies at op 1, at which another one is born that may overlap it."""
    blocks = (Block("x", old, Interval(0, 2)), Block("y", new, Interval(1, 3)), *more)
    return Problem(blocks, align=align, overlaps=(Overlap("x", "y", distance),))


def legal(case: Problem, offsets: dict[str, int]) -> bool:
    """Return whether the checker has nothing to say."""
    try:
        check_offsets(case, offsets)
    except BadProblem:
        return False
    return True


@settings(max_examples=30)
@given(SIZES, SIZES, st.data())
def test_what_is_allowed_is_what_the_distance_says(old, new, data):
    distance = data.draw(st.integers(0, new - 1))
    case = problem(old, new, distance)
    (pair,) = case.pairs
    for x in range(40, 42):
        for y in range(0, 90):
            apart = x + old <= y or y + new <= x
            assert legal(case, {"x": x, "y": y}) == (apart or y + distance <= x)
            assert pair.allows(x, y) == legal(case, {"x": x, "y": y})
            assert pair.shared(x, y) == len({*range(x, x + old)} & {*range(y, y + new)})


@settings(max_examples=30)
@given(st.integers(1, 14), st.integers(1, 14), st.sampled_from([1, 4, 8]), st.data())
def test_the_most_that_can_be_shared_is_what_the_best_placement_shares(old, new, align, data):
    distance = data.draw(st.integers(0, new - 1))
    case = problem(old, new, distance, align=align)
    (pair,) = case.pairs
    places = [
        (x, y) for x in range(0, 40, align) for y in range(0, 40, align) if legal(case, {"x": x, "y": y})
    ]
    height = min(max(x + old, y + new) for x, y in places)
    assert max(pair.shared(x, y) for x, y in places) == pair.most(align)
    assert old + new - pair.most(align) <= lower_bound(case).padded_bytes
    assert lower_bound(case).bytes <= height
    for name in PLANNERS:
        if name != "exact":
            assert PLANNERS[name](case, effort=1000).height >= height
    assert PLANNERS["best"](case).height < height + align


@given(SIZES, SIZES, SIZES, st.data())
def test_a_third_block_is_hit_wherever_it_lies(old, new, third, data):
    distance = data.draw(st.integers(0, new - 1))
    case = problem(old, new, distance, Block("z", third, Interval(*data.draw(st.sampled_from(
        [(0, 1), (0, 2), (1, 2), (1, 3), (0, 3), (2, 3)]
    )))))  # fmt: skip
    x, y, z = data.draw(st.tuples(*[st.integers(0, 60)] * 3))
    assume(case.pairs[0].allows(x, y))
    life = case.blocks[2].lifetime
    hits_x = life.start < 2 and max(x, z) < min(x + old, z + third)
    hits_y = life.end > 1 and max(y, z) < min(y + new, z + third)
    assert legal(case, {"x": x, "y": y, "z": z}) == (not hits_x and not hits_y)


def test_an_output_may_grow_over_several_inputs():
    blocks = (
        Block("a", 10, Interval(0, 2)), Block("b", 10, Interval(0, 2)), Block("y", 20, Interval(1, 3)),
    )  # fmt: skip
    case = Problem(blocks, overlaps=(Overlap("a", "y", 4), Overlap("b", "y", 10)))
    assert legal(case, {"a": 4, "b": 14, "y": 0})
    assert not legal(case, {"a": 3, "b": 14, "y": 0})
    assert not legal(case, {"a": 4, "b": 13, "y": 0})
    assert lower_bound(case).bytes <= PLANNERS["best"](case).height <= 24


WRONG: dict[str, dict[str, Any]] = {
    "names block 'q'": {"overlaps": (Overlap("q", "y", 0),)},
    "the distance 20": {"overlaps": (Overlap("x", "y", 20),)},
    "the distance -1": {"overlaps": (Overlap("x", "y", -1),)},
    "the old one dies at the op": {"overlaps": (Overlap("y", "x", 0),)},
    "twice": {"overlaps": (Overlap("x", "y", 0), Overlap("x", "y", 1))},
}


@pytest.mark.parametrize("message", WRONG)
def test_a_licence_that_makes_no_sense_is_refused(message):
    with pytest.raises(BadProblem, match=message):
        replace(problem(10, 20, 3), **WRONG[message])


def test_a_file_keeps_what_may_overlap(tmp_path):
    case = problem(32, 64, 8, Block("z z", 5, Interval(0, 2)))
    case = replace(case, overlaps=(*case.overlaps, Overlap("z z", "y", 0)))
    write_csv(tmp_path / "p.csv", case, PLANNERS["best"](case).offsets)
    found, offsets = read_solution(tmp_path / "p.csv")
    assert found == case
    check_offsets(found, offsets)
    text = (tmp_path / "p.csv").read_text()
    for wrong, message in (("8:q", "there is none"), ("8", "there is none"), ("x:8", "as overlaps")):
        (tmp_path / "wrong.csv").write_text(text.replace("8:x", wrong))
        with pytest.raises(BadProblem, match=message):
            read_solution(tmp_path / "wrong.csv")


def test_fenced_blocks_never_overlap():
    case = problem(32, 64, 8)
    assert PLANNERS["best"](case).height == 64
    assert PLANNERS["best"](fenced(case, 8)).height == 32 + 64 + 2 * 8


@given(st.lists(SIZES, min_size=2, max_size=12), st.integers(0, 2**32 - 1))
def test_chains_reach_what_their_largest_op_needs(sizes, seed):
    """Layer after layer, each output over its input."""
    rng = np.random.default_rng(seed)
    blocks = tuple(Block(f"b{i}", size, Interval(i, i + 2)) for i, size in enumerate(sizes))
    overlaps = tuple(Overlap(a.name, b.name, int(rng.integers(0, b.bytes))) for a, b in pairwise(blocks))
    case = Problem(blocks, overlaps=overlaps)
    solution = PLANNERS["best"](case, effort=20_000)
    check_offsets(case, solution.offsets)
    assert solution.height >= lower_bound(case).bytes
    assert solution.height <= PLANNERS["best"](replace(case, overlaps=()), effort=20_000).height


def test_a_block_without_a_byte_overlaps_nothing():
    pytest.importorskip("ortools")
    blocks = (
        Block("a", 0, Interval(0, 2)),
        Block("b", 1, Interval(0, 3)),
        Block("c", 1, Interval(1, 2), align=2),
    )
    case = Problem(blocks, overlaps=(Overlap("a", "c", 0),))
    assert PLANNERS["exact"](case).height == PLANNERS["branch_and_bound"](case).height == 2
