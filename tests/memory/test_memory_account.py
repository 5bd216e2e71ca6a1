"""Blocks, bounds, the checker, the arena and the ledger."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import BadProblem, BadTrace, Interval, OutOfSram, Role
from mcusim.memory.arena import Arena, fenced
from mcusim.memory.block import Block
from mcusim.memory.bound import live_by_role, live_over_time, lower_bound
from mcusim.memory.checker import check, check_offsets
from mcusim.memory.ledger import Ledger
from mcusim.memory.planners import PLANNERS
from mcusim.memory.problem import Problem, Solution, Status


@pytest.mark.parametrize(
    "arguments",
    [
        {"bytes": -1},
        {"bytes": 2**63},
        {"lifetime": Interval(3, 3)},
        {"lifetime": Interval(0, 2**63)},
        {"align": 3},
        {"align": 0},
        {"shrinks": ((0, 5),)},
        {"shrinks": ((10, 5),)},
        {"shrinks": ((3, 10),)},
        {"shrinks": ((3, 0),)},
        {"shrinks": ((3, 5), (3, 4))},
        {"shrinks": ((3, 5), (4, 6))},
    ],
)
def test_bad_blocks_are_refused_by_name(arguments: dict[str, object]) -> None:
    with pytest.raises(BadProblem, match="block 'b'"):
        Block(**{"name": "b", "bytes": 10, "lifetime": Interval(0, 10), **arguments})


def test_bad_problems_are_refused() -> None:
    block = Block("b", 10, Interval(0, 10))
    for arguments in (((block, block),), ((block,), 0), ((block,), None, 6)):
        with pytest.raises(BadProblem):
            Problem(*arguments)


def test_rectangles_of_a_shrinking_block() -> None:
    block = Block("b", 16, Interval(2, 9), shrinks=((4, 8), (6, 2)))
    assert block.rectangles == ((Interval(2, 4), 16), (Interval(4, 6), 8), (Interval(6, 9), 2))
    assert [block.bytes_at(t) for t in range(1, 10)] == [0, 16, 16, 8, 8, 2, 2, 2, 0]


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(1, 6), st.integers(0, 50), st.sampled_from(list(Role))),
        max_size=12,
    ),
    st.sampled_from([1, 4, 16]),
)
def test_the_profile_is_the_sum_at_every_time(rows: list[tuple[int, int, int, Role]], align: int) -> None:
    blocks = tuple(Block(f"b{i}", n, Interval(s, s + d), r) for i, (s, d, n, r) in enumerate(rows))
    profile = live_over_time(blocks)
    expected = [sum(b.bytes_at(t) for b in blocks) for t in range(-1, 17)]
    assert [profile.at(t) for t in range(-1, 17)] == expected == profile.dense(-1, 17).tolist()
    for time in range(17):
        assert sum(live_by_role(blocks, time).values()) == profile.at(time)
    bound = lower_bound(Problem(blocks, align=align))
    slow = max(
        (
            sum(-(-b.bytes // align) * align for b in live) - max(-b.bytes % align for b in live)
            for t in range(17)
            if (live := [b for b in blocks if t in b.lifetime])
        ),
        default=0,
    )
    assert bound.bytes == slow
    assert bound.live_bytes == profile.at(bound.time)
    assert bound.bytes <= bound.padded_bytes < bound.bytes + align


def test_the_checker_names_what_is_wrong() -> None:
    a, b = Block("a", 8, Interval(0, 4)), Block("b", 8, Interval(3, 6))
    problem = Problem((a, b), capacity=16, align=4)
    check_offsets(problem, {"a": 0, "b": 8})
    for offsets, words in (
        ({"a": 0}, "'b' has no offset|block 'b': has no offset"),
        ({"a": -4, "b": 8}, "below address 0"),
        ({"a": 0, "b": 10}, "no multiple of 4"),
        ({"a": 0, "b": 4}, "blocks 'a' and 'b': overlap at op 3"),
        ({"a": 4, "b": 0}, "blocks 'a' and 'b': overlap at op 3"),
        ({"a": 0, "b": 0}, "blocks 'a' and 'b': overlap at op 3"),
    ):
        with pytest.raises(BadProblem, match=words):
            check_offsets(problem, offsets)
    with pytest.raises(BadProblem, match="states 12 bytes and reaches 16"):
        check(problem, Solution({"a": 0, "b": 8}, 12, "p", Status.FEASIBLE, 12))
    with pytest.raises(OutOfSram) as caught:
        check(problem, Solution({"a": 0, "b": 12}, 20, "p", Status.UNKNOWN, 16))
    assert (caught.value.missing_bytes, caught.value.largest_hole_bytes) == (4, 4)
    assert {block.name for block in caught.value.live} == {"a", "b"}


@given(data=st.data())
def test_the_checker_agrees_with_painting_every_byte(data: st.DataObject) -> None:
    blocks, offsets = [], {}
    for i in range(data.draw(st.integers(0, 6))):
        start = data.draw(st.integers(0, 5))
        size = data.draw(st.integers(0, 8))
        shrinks = ((start + 1, data.draw(st.integers(1, size - 1))),) if size > 1 else ()
        blocks.append(Block(f"b{i}", size, Interval(start, start + 3), shrinks=shrinks))
        offsets[f"b{i}"] = data.draw(st.integers(0, 12))
    painted = np.zeros((9, 32), np.int64)
    for block in blocks:
        for lifetime, size in block.rectangles:
            place = offsets[block.name]
            painted[lifetime.start : lifetime.end, place : place + size] += 1
    try:
        check_offsets(Problem(tuple(blocks)), offsets)
        valid = True
    except BadProblem:
        valid = False
    assert valid == (painted.max() <= 1)


@pytest.mark.smoke
def test_the_arena_is_exactly_as_large_as_the_sram() -> None:
    arena = Arena(1000)
    assert arena.bytes.shape == (1000,)
    assert arena.bytes.ctypes.data % 64 == 0
    view = arena.view(8, (3, 4), np.float32)
    view[:] = 1.5
    assert arena.bytes[8:56].view(np.float32).tolist() == [1.5] * 12
    assert arena.view(1000, (0,), np.int8).size == 0
    for offset, shape, dtype in ((996, (2,), "f4"), (-4, (1,), "f4"), (2, (1,), "f4"), (1, (1,), "i2")):
        with pytest.raises(BadProblem):
            arena.view(offset, shape, dtype)
    for capacity in (0, -1, 2**50):
        with pytest.raises(BadProblem):
            Arena(capacity)


def test_poison_and_fences_show_stray_writes() -> None:
    problem = Problem((Block("a", 30, Interval(0, 2), shrinks=((1, 10),)), Block("b", 20, Interval(0, 2))))
    solution = PLANNERS["greedy_by_size"](fenced(problem, 8))
    check(fenced(problem, 8), solution)
    arena = Arena(solution.height)
    for block in problem.blocks:
        arena.fence(solution.offsets[block.name] + block.bytes, 8)
    place = solution.offsets["a"]
    arena.view(place, (30,), np.int8)[:] = 7
    assert all(arena.intact(solution.offsets[b.name] + b.bytes, 8) for b in problem.blocks)
    arena.bytes[place + 30] ^= 1
    assert not arena.intact(place + 30, 8)
    arena.poison(place + 10, 20)
    assert arena.poisoned(place + 10, 20)
    arena.bytes[place + 15] = 0
    assert not arena.poisoned(place + 10, 20)
    with pytest.raises(BadProblem, match="outside"):
        arena.poison(solution.height - 1, 2)


@given(st.lists(st.tuples(st.sampled_from("afs"), st.integers(0, 7), st.integers(0, 40)), max_size=60))
def test_invariants_2_and_3_the_ledger_adds_up_at_every_event(rows: list[tuple[str, int, int]]) -> None:
    ledger = Ledger(200, fixed_overhead=10)
    live: dict[str, tuple[Role, int]] = {}
    peak, by_role = 0, {}
    for kind, number, size in rows:
        name, role = f"b{number}", list(Role)[number % 3]
        try:
            if kind == "a":
                ledger.alloc(name, role, size, offset=size, overhead=2, where="op")
                live[name] = (role, size)
            elif kind == "f":
                assert ledger.free(name).bytes == live.pop(name)[1]
            else:
                ledger.shrink(name, size)
                live[name] = (live[name][0], size)
        except BadTrace:
            pass
        ledger.check()
        total = sum(n for _, n in live.values())
        assert ledger.live_bytes == total == sum(ledger.by_role.values())
        assert ledger.live_bytes + ledger.free_bytes + ledger.overhead_bytes == 200
        assert ledger.overhead_bytes == 10 + 2 * len(live)
        if total > peak:
            peak = total
            by_role = {r: sum(n for q, n in live.values() if q == r) for r in Role}
    assert ledger.peak.live_bytes == peak
    assert ledger.peak.by_role == {role: n for role, n in by_role.items() if n}
    assert sum(block.bytes for block in ledger.peak.live) == peak


def test_the_ledger_refuses_contradictions_and_names_the_event() -> None:
    ledger = Ledger(100)
    ledger.alloc("a", Role.FEATURE, 60, where="conv1")
    assert (ledger.peak.where, ledger.peak.event) == ("conv1", 0)
    for action, words in (
        (lambda: ledger.alloc("a", Role.FEATURE, 1), "while it is live"),
        (lambda: ledger.alloc("b", Role.FEATURE, 41), "more into use than 100"),
        (lambda: ledger.alloc("b", Role.FEATURE, -1), "negative"),
        (lambda: ledger.free("b", where="conv2"), "event 1, conv2"),
        (lambda: ledger.shrink("b", 1), "not live"),
        (lambda: ledger.shrink("a", 61), "grows from 60 to 61"),
    ):
        with pytest.raises(BadTrace, match=words):
            action()
    ledger.live_bytes += 1
    with pytest.raises(BadTrace):
        ledger.check()
