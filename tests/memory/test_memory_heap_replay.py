"""The compiled heaps against the plain ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import BadProblem, BadTrace, OutOfSram, UnknownName
from mcusim.memory.heap_replay import ALLOC, FREE, SHRINK, HeapEvents, HeapReplay, replay, replay_slowly

COMPILED = ("first_fit", "best_fit", "tlsf")


def made(rows: list[tuple[int, int, int]], **more: object) -> HeapEvents:
    table = np.array(rows, np.int64).reshape(-1, 3)
    return HeapEvents(table[:, 0].astype(np.int8), table[:, 1].astype(np.int32), table[:, 2], **more)


@st.composite
def event_lists(draw: st.DrawFn) -> HeapEvents:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows: list[tuple[int, int, int]] = []
    live: dict[int, int] = {}
    largest = draw(st.sampled_from([40, 600, 5000]))
    for _ in range(draw(st.integers(0, 300))):
        choice = rng.random()
        if live and choice < 0.45:
            block = list(live)[-1] if rng.random() < 0.5 else int(rng.choice(list(live)))
            del live[block]
            rows.append((FREE, block, 0))
        elif live and choice < 0.55:
            block = int(rng.choice(list(live)))
            live[block] = int(rng.integers(0, live[block] + 1))
            rows.append((SHRINK, block, live[block]))
        else:
            block = next(i for i in range(999) if i not in live)
            live[block] = int(rng.integers(0, largest))
            rows.append((ALLOC, block, live[block]))
    return made(rows)


def outcome(play: object, name: str, capacity: int, events: HeapEvents) -> tuple[object, ...]:
    try:
        result: HeapReplay = play(name, capacity, events)
    except OutOfSram as error:
        return ("out", error.where, error.needed_bytes, error.largest_hole_bytes, error.live)
    return (
        result.offsets.tolist(), result.top_bytes, result.peak_live_bytes,
        result.peak_event, result.peak_overhead_bytes,
    )  # fmt: skip


@given(
    name=st.sampled_from(COMPILED),
    capacity=st.one_of(st.integers(1, 4000), st.sampled_from([20_000, 1 << 20])),
    events=event_lists(),
)
def test_compiled_heaps_equal_their_plain_twins(name: str, capacity: int, events: HeapEvents) -> None:
    assert outcome(replay, name, capacity, events) == outcome(replay_slowly, name, capacity, events)


@pytest.mark.parametrize("name", ["bump", "stack", "buddy", *COMPILED])
def test_every_allocator_can_be_replayed(name: str) -> None:
    events = made([(ALLOC, 0, 100), (ALLOC, 1, 50), (SHRINK, 1, 20), (FREE, 0, 0), (FREE, 1, 0)])
    result = replay(name, 8192, events)
    assert (result.peak_live_bytes, result.peak_event) == (150, 1)
    assert result.offsets[0] == result.offsets[3]
    assert result.top_bytes >= 150


def test_a_replay_that_does_not_fit_names_blocks_and_event() -> None:
    events = made([(ALLOC, 0, 100), (ALLOC, 1, 5000)], names=["conv1", "conv2"])
    with pytest.raises(OutOfSram, match=r"event 1, conv2.*conv1") as caught:
        replay("first_fit", 1024, events)
    assert caught.value.event == 1


@pytest.mark.parametrize("name", ["stack", *COMPILED])
@pytest.mark.parametrize(
    "rows",
    [
        [(ALLOC, 0, 1), (ALLOC, 0, 1)],
        [(FREE, 0, 0)],
        [(ALLOC, 0, 1), (FREE, 0, 0), (FREE, 0, 0)],
        [(SHRINK, 0, 0)],
        [(ALLOC, 0, 1), (SHRINK, 0, 2)],
    ],
)
def test_events_that_contradict_each_other_are_refused_with_the_event(
    name: str, rows: list[tuple[int, int, int]]
) -> None:
    with pytest.raises(BadTrace, match=f"event {len(rows) - 1}"):
        replay(name, 8192, made(rows))


def test_bad_columns_capacity_and_names_are_refused() -> None:
    for rows in ([(3, 0, 0)], [(-1, 0, 0)], [(ALLOC, -1, 0)], [(ALLOC, 2**31 - 1, 0)], [(ALLOC, 0, -1)]):
        with pytest.raises(BadTrace):
            made(rows)
    with pytest.raises(BadTrace, match="lengths"):
        HeapEvents(np.zeros(2, np.int8), np.zeros(1, np.int32), np.zeros(2, np.int64))
    with pytest.raises(BadProblem):
        replay("tlsf", 0, made([]))
    with pytest.raises(UnknownName, match="first_fit"):
        replay("first-fit", 100, made([]))
    assert replay("tlsf", 8192, made([])).top_bytes == 0
