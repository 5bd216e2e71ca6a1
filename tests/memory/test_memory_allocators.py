"""Every dynamic allocator against a naive model of memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import BadProblem, OutOfSram, UnknownName
from mcusim.memory.allocators import ALLOCATORS, best_fit, first_fit
from mcusim.memory.allocators.geometry import Geometry
from mcusim.testing import assert_heap

NAMES = sorted(ALLOCATORS)


@pytest.mark.parametrize("name", NAMES)
def test_invariants_1_and_2_every_allocator_holds_beside_a_model(name: str) -> None:
    assert_heap(ALLOCATORS[name], examples=20)


@pytest.mark.smoke
@pytest.mark.parametrize("name", NAMES)
def test_invariant_8_out_of_sram_says_what_is_missing_and_changes_nothing(name: str) -> None:
    heap = ALLOCATORS[name](4096)
    kept = heap.alloc(1000, name="kept")
    holes = heap.holes
    with pytest.raises(OutOfSram) as caught:
        heap.alloc(5000, name="greedy")
    assert caught.value.live[0].name == "kept"
    assert caught.value.largest_hole_bytes == max(len(hole) for hole in holes)
    assert caught.value.needed_bytes == 4096 + caught.value.missing_bytes
    assert (heap.holes, heap.live_bytes) == (holes, 1000)
    heap.free(kept)


@given(name=st.sampled_from(NAMES), capacity=st.integers(1, 3000), size=st.integers(0, 9000))
def test_needed_bytes_of_an_empty_heap_are_exact(name: str, capacity: int, size: int) -> None:
    try:
        ALLOCATORS[name](capacity).alloc(size)
    except OutOfSram as error:
        ALLOCATORS[name](error.needed_bytes).alloc(size)
        if name != "tlsf":  # its classes are rounded for the search, a heap just fitting may do
            with pytest.raises(OutOfSram):
                ALLOCATORS[name](error.needed_bytes - 1).alloc(size)


def test_first_fit_takes_the_lowest_hole_and_best_fit_the_smallest() -> None:
    offsets = {}
    for make in (first_fit, best_fit):
        heap = make(10_000)
        large, _, small, _ = (heap.alloc(n) for n in (1000, 10, 100, 10))
        heap.free(large)
        heap.free(small)
        offsets[make] = (heap.alloc(90), large, small)
    assert offsets[first_fit][0] == offsets[first_fit][1]
    assert offsets[best_fit][0] == offsets[best_fit][2]


def test_headers_and_rounding_are_counted() -> None:
    heap = first_fit(1024)
    heap.alloc(13)
    assert (heap.live_bytes, heap.overhead_bytes, heap.free_bytes) == (13, 11, 1000)
    assert first_fit(1024, geometry=Geometry(0, 1, 1)).free_bytes == 1024


def test_bump_comes_back_only_when_empty_and_stack_when_the_top_is_free() -> None:
    heap = ALLOCATORS["bump"](100)
    first, second = heap.alloc(40), heap.alloc(40)
    heap.free(second)
    with pytest.raises(OutOfSram):
        heap.alloc(40)
    heap.free(first)
    assert heap.alloc(96) == 0
    heap = ALLOCATORS["stack"](120)
    first, second = heap.alloc(40), heap.alloc(40)
    heap.free(first)
    assert heap.free_bytes == 24
    heap.free(second)
    assert heap.free_bytes == 120


def test_buddy_blocks_are_powers_of_two_that_merge() -> None:
    heap = ALLOCATORS["buddy"](65 * 16)
    assert heap.control_bytes == 16
    offsets = [heap.alloc(65) for _ in range(8)]
    assert sorted(offsets) == [128 * i for i in range(8)]
    for offset in offsets:
        heap.free(offset)
    assert [len(hole) for hole in heap.holes] == [1024]


def test_tlsf_counts_its_index() -> None:
    # 16 B null block, 4 B row bitmap, 13 rows of a bitmap and 32 pointers.
    assert ALLOCATORS["tlsf"](262_144).control_bytes == 16 + 4 + 13 * (4 + 128)
    tiny = ALLOCATORS["tlsf"](100)
    assert (tiny.control_bytes, tiny.holes) == (100, [])


@pytest.mark.parametrize("name", NAMES)
def test_bad_requests_are_refused(name: str) -> None:
    heap = ALLOCATORS[name](8192)
    for size, align in ((-1, 1), (2**63, 1), (1, 3), (1, 0), (1, -8)):
        with pytest.raises(BadProblem):
            heap.alloc(size, align)
    offset = heap.alloc(10)
    for action in (
        lambda: heap.free(offset + 1),
        lambda: heap.shrink(offset, 11),
        lambda: heap.shrink(offset + 1, 1),
    ):
        with pytest.raises(BadProblem):
            action()
    for capacity in (0, -5, 2**60):
        with pytest.raises(BadProblem):
            ALLOCATORS[name](capacity)


def test_unknown_allocators_and_bad_geometry() -> None:
    with pytest.raises(UnknownName, match="tlsf"):
        ALLOCATORS["tslf"]
    for numbers in ((8, 3, 16), (-1, 8, 16), (8, 8, 4), (8, 8, 12), (0, 1, 0)):
        with pytest.raises(BadProblem):
            Geometry(*numbers)
    with pytest.raises(BadProblem, match="power of two"):
        ALLOCATORS["buddy"](1000, min_block=48)
