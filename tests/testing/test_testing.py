"""What attacks allocators and planners finds the mistakes that people make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings

import mcusim
from mcusim.core import Interval
from mcusim.memory import ALLOCATORS, PLANNERS, Heap, Piece, Placing, Problem, Status, check_offsets
from mcusim.memory.problem import judge
from mcusim.testing import assert_heap, assert_planner, heap_machine, problems


@pytest.mark.parametrize("name", sorted({*PLANNERS} - {"exact"}))
def test_every_planner_holds(name: str) -> None:
    """The exact one takes seconds a problem: tests/memory holds it against brute force."""
    assert_planner(PLANNERS[name], examples=10)


class Line:
    """Blocks behind each other, the place of the last one used again; with a mistake to choose."""

    def __init__(self, capacity: int, mistake: str) -> None:
        self.capacity, self.mistake, self.control_bytes = capacity, mistake, 0
        self.pieces: list[Piece] = []

    def take(self, size: int, align: int) -> Piece | None:
        start = self.pieces[-1].end if self.pieces else 0
        offset = start if self.mistake == "alignment" else -(-start // align) * align
        if self.mistake == "overlap" and len(self.pieces) == 2:
            offset = start = max(0, start - 1)
        if offset + size > self.capacity + (64 if self.mistake == "bounds" else 0):
            if self.mistake == "side effect" and self.pieces:
                self.capacity -= 1
            return None
        self.pieces.append(Piece(start, max(start, offset + size), offset))
        return self.pieces[-1]

    def give(self, piece: Piece) -> None:
        at = self.pieces.index(piece)
        if at < len(self.pieces) - 1:
            self.pieces[at] = replace(piece, offset=-1)  # buried: free once those above are
        else:
            self.pieces.pop()
        while self.pieces and self.pieces[-1].offset == -1:
            self.pieces.pop()
        if self.mistake == "leak":
            self.capacity -= 1

    def trim(self, piece: Piece, size: int) -> Piece:
        return piece

    def holes(self) -> list[Interval]:
        start = self.pieces[-1].end if self.pieces else 0
        return [Interval(start, self.capacity)] if start < self.capacity else []

    def needed(self, size: int, align: int) -> int:
        start = self.pieces[-1].end if self.pieces else 0
        return -(-start // align) * align + size


def line(mistake: str):
    return lambda capacity: Heap("line", capacity, Line(capacity, mistake))


def test_a_policy_without_mistakes_passes() -> None:
    # A block without bytes needs a byte of its own: nothing else may be at its address.
    assert_heap(lambda capacity: Heap("line", capacity, OneByte(capacity, "")), examples=20)


class OneByte(Line):
    def take(self, size: int, align: int) -> Piece | None:
        return super().take(max(1, size), align)

    def needed(self, size: int, align: int) -> int:
        return super().needed(max(1, size), align)


@pytest.fixture
def unshrunk() -> Iterator[None]:
    """That a mistake is found is asked here, not its shortest form, which takes longer."""
    before = settings.get_current_profile_name()
    settings.register_profile("unshrunk", settings(), derandomize=True, phases=(Phase.generate,))
    settings.load_profile("unshrunk")
    yield
    settings.load_profile(before)


@pytest.mark.usefixtures("unshrunk")
@pytest.mark.parametrize("mistake", ["alignment", "overlap", "bounds", "side effect", "leak"])
def test_every_mistake_of_an_allocator_is_found(mistake: str) -> None:
    with pytest.raises((AssertionError, mcusim.BadProblem)):
        assert_heap(lambda capacity: Heap("line", capacity, OneByte(capacity, mistake)), examples=300)


@pytest.mark.usefixtures("unshrunk")
def test_blocks_without_bytes_want_addresses_of_their_own() -> None:
    with pytest.raises((AssertionError, mcusim.BadProblem)):
        assert_heap(line(""), examples=300)


def lowest(problem: Problem, *, seed: int = 0, effort: int | None = None, time_limit_s: float | None = None):
    placing = Placing(problem)
    return placing.solution("lowest", placing.place_all(range(len(problem.blocks))))


CALLS = iter(range(10**9))
WRONG = {
    "everything at 0": lambda p, s: replace(s, offsets=dict.fromkeys(s.offsets, 0)),
    "a height from nowhere": lambda p, s: replace(s, height=s.height + 1),
    "always optimal": lambda p, s: replace(s, status=Status.OPTIMAL),
    "a bound too low": lambda p, s: replace(s, lower_bound=0, status=judge(p, s.height, 0)),
    "one block forgotten": lambda p, s: replace(s, offsets=dict(list(s.offsets.items())[1:])),
    "another answer each time": lambda p, s: replace(s, work=next(CALLS)),
}


def test_a_plain_planner_passes() -> None:
    assert_planner(lowest, examples=20)


@pytest.mark.usefixtures("unshrunk")
@pytest.mark.parametrize("mistake", WRONG)
def test_every_mistake_of_a_planner_is_found(mistake: str) -> None:
    def wrong(problem: Problem, **options):
        return WRONG[mistake](problem, lowest(problem, **options))

    with pytest.raises((AssertionError, mcusim.BadProblem)):
        assert_planner(wrong, examples=300)


@pytest.mark.smoke
@settings(max_examples=30)
@given(problem=problems(max_blocks=6))
def test_problems_can_be_placed(problem: Problem) -> None:
    check_offsets(problem, lowest(problem).offsets)


class TestTlsf(heap_machine(ALLOCATORS["tlsf"], max_bytes=200).TestCase):
    """As a person would write it into a test file."""
