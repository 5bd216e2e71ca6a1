"""Where copies, examples and constants go in flash with sectors of different sizes."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

import mcusim
from mcusim.core import Interval
from mcusim.mcu.board import FlashMemory, FlashSectors
from mcusim.mcu.flash.areas import behind, fill, placed
from mcusim.mcu.flash.flash import sectors

F746 = mcusim.board("stm32f746").flash
KIB = 1024
kinds = st.lists(st.tuples(st.integers(1, 4), st.sampled_from([2, 4, 8, 16])), min_size=1, max_size=3)


def flash(rows: list[tuple[int, int]]) -> FlashMemory:
    units = tuple(FlashSectors(count, 4 * size) for count, size in rows)
    return FlashMemory(sum(k.count * k.bytes for k in units), units, 4)


def test_small_copies_take_small_sectors():
    offsets, (a, b) = placed(F746, [60 * KIB, 300 * KIB], 20 * KIB, 0)
    assert (a, b) == (Interval(64 * KIB, 96 * KIB), Interval(96 * KIB, 128 * KIB))
    assert offsets == [0, 128 * KIB]


def test_copies_take_sectors_of_two_sizes_where_that_is_all_there_is():
    """Two copies of 60 KiB beside 700 KiB of constants: one of two small sectors, one of the middle one."""
    _, (a, b) = placed(F746, [64 * KIB, 250 * KIB, 250 * KIB, 200 * KIB], 60 * KIB, 0)
    assert (a, b) == (Interval(64 * KIB, 128 * KIB), Interval(128 * KIB, 256 * KIB))


@settings(max_examples=200, deadline=None)
@given(kinds, st.lists(st.integers(1, 30), max_size=4), st.integers(0, 40), st.integers(0, 20))
def test_places_are_whole_sectors_apart_from_everything_and_none_is_better(rows, sizes, copy, replay):
    memory = flash(rows)
    found = placed(memory, sizes, copy, replay)
    edges = [0, *(unit.end for unit, _ in sectors(memory))]
    runs = [Interval(a, b) for a, b in combinations(edges, 2)]
    if copy and not replay:
        # Every pair of adjacent runs of equal sectors each, whatever their length.
        best = None
        for a in runs:
            for b in (b for b in runs if b.start == a.end):
                alike = all(
                    len({k.bytes for u, k in sectors(memory) if u.overlaps(run)}) == 1 for run in (a, b)
                )
                if alike and min(len(a), len(b)) >= copy and fill(memory, (a, b), sizes) is not None:
                    best = min(filter(None, (best, max(len(a), len(b)))))
        assert (best is None) == (found is None)
        assert found is None or max(map(len, found[1])) == best
    if found is None:
        return
    offsets, places = found
    taken = [*places, *(Interval(o, o + s) for o, s in zip(offsets, sizes, strict=True))]
    assert all(not a.overlaps(b) for a, b in combinations(taken, 2))
    assert all(t.start >= 0 and t.end <= memory.bytes for t in taken)
    assert all(p.start in edges and p.end in edges for p in places)
    assert not sizes or offsets[0] == 0
    assert len(places) == 2 * bool(copy) + bool(replay)


@given(st.lists(st.integers(1, 300), max_size=5), st.integers(0, 300))
def test_where_sectors_are_alike_copies_follow_the_constants(sizes, copy):
    memory = flash([(100, 4)])
    offsets, places = behind(memory, sizes, copy, 0)
    end = max((o + s for o, s in zip(offsets, sizes, strict=True)), default=0)
    assert len(places) == 2 * bool(copy)
    assert all(p.start % 16 == 0 == len(p) % 16 and len(p) >= copy for p in places)
    assert not places or 0 <= places[0].start - end < 16
