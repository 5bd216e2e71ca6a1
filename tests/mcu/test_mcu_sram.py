"""Wait states of SRAM regions and missed cache lines, against a twin that goes byte by byte."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import BadBoard, Provenance, Work
from mcusim.mcu import Board, board, estimate, load_board, profile
from mcusim.mcu.board import Cache, SramRegion
from mcusim.mcu.cycles.sram import BUS_BYTES, Access, split, sram_stalls

REGIONS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 5), st.booleans()), min_size=1, max_size=4)


def a_board(regions, data_bytes=64, line_bytes=8) -> Board:
    blocks = tuple(SramRegion(f"R{i}", *each) for i, each in enumerate(regions))
    return replace(board("stm32f746"), sram=blocks, cache=Cache(data_bytes=data_bytes, line_bytes=line_bytes))


@st.composite
def ops(draw):
    def access(offset):
        size = draw(st.integers(1, 50))
        return Access(offset, size, draw(st.integers(0, size)), draw(st.integers(0, size)))

    starts = st.lists(st.integers(0, 120), max_size=3, unique=True)
    return [[access(start) for start in draw(starts)] for _ in range(draw(st.integers(1, 5)))]


def whole(accesses):
    return [
        [Access(a.offset, a.bytes, a.bytes if a.read else 0, a.bytes if a.written else 0) for a in op]
        for op in accesses
    ]


def twin(sequence, home):
    """Look at every byte of buffers that are touched whole."""
    owner = [index for index, region in enumerate(home.sram) for _ in range(region.bytes)]
    moved = [[0, 0, 0] for _ in home.sram]
    stalls, misses = [], []
    for number, op in enumerate(sequence):
        both = op + (sequence[number - 1] if number else [])
        fits = sum(a.bytes for a in both) <= home.cache.data_bytes
        known = {a.offset for a in sequence[number - 1]} if number and fits else set()
        stall = miss = 0
        for a in op:
            by_region: dict[int, int] = {}
            for byte in range(a.offset, a.offset + a.bytes):
                index = owner[byte] if byte < len(owner) else len(home.sram) - 1
                by_region[index] = by_region.get(index, 0) + 1
            for index, count in by_region.items():
                region = home.sram[index]
                waits = 0
                for side, touched in enumerate((a.read, a.written)):
                    moved[index][side] += count if touched else 0
                    if touched and not region.cached:
                        waits += len(range(0, count, BUS_BYTES))
                if region.cached and a.read and a.offset not in known:
                    waits += len(range(0, count, home.cache.line_bytes))
                moved[index][2] += waits
                stall += 0 if region.cached else waits * region.wait_states
                miss += waits * region.wait_states if region.cached else 0
        stalls.append(stall)
        misses.append(miss)
    return stalls, misses, moved


@given(REGIONS, ops(), st.sampled_from([0, 16, 64, 256]))
def test_stalls_are_those_of_the_byte_by_byte_twin(regions, sequence, capacity):
    home = a_board(regions, data_bytes=capacity)
    sequence = whole(sequence)
    found = sram_stalls(sequence, home)
    stalls, misses, moved = twin(sequence, home)
    assert list(found.regions) == stalls
    assert list(found.misses) == misses
    assert [[u.read_bytes, u.written_bytes, u.waits] for u in found.uses] == moved
    assert sum(u.stall_cycles for u in found.uses) == sum(stalls) + sum(misses)


@given(REGIONS, ops())
def test_the_parts_of_a_split_add_up(regions, sequence):
    ends = list(accumulate(size for size, _, _ in regions))
    for access in (a for op in sequence for a in op):
        parts = list(split(access, ends))
        assert sum(read for _, read, _ in parts) == access.read
        assert sum(written for _, _, written in parts) == access.written
        assert [index for index, _, _ in parts] == sorted({index for index, _, _ in parts})


@pytest.mark.smoke
def test_a_buffer_across_two_regions_waits_in_one():
    home = a_board([(16, 0, False), (64, 3, False)])
    found = sram_stalls([[Access(8, 16, 16, 0)], [Access(16, 12, 0, 12)]], home)
    assert found.regions == (2 * 3, 3 * 3)
    assert [(u.read_bytes, u.written_bytes, u.waits) for u in found.uses] == [(8, 0, 2), (8, 12, 5)]


def test_a_line_is_missed_once_and_not_just_after_it_was_touched():
    home = a_board([(1024, 10, True)], data_bytes=128, line_bytes=32)
    small, large = Access(0, 40, 40, 0), Access(64, 120, 120, 0)
    assert sram_stalls([[small], [small]], home).misses == (20, 0)
    assert sram_stalls([[small], [large], [small]], home).misses == (20, 40, 20)
    assert sram_stalls([[Access(0, 64, 0, 64)]], home).misses == (0,)  # stores do not wait


def test_an_estimate_adds_the_stalls_and_says_where_they_come_from():
    home = replace(
        a_board([(64, 0, False), (1 << 20, 2, True)], 4096, 32), profile="cortex-m7-cubeai-10.0-balanced"
    )
    works = [Work("pointwise", macs=1000, outputs=100, requants=100, flash_read=320)] * 2
    accesses = [[Access(0, 64, 64, 0), Access(64, 8192, 8192, 0)], [Access(32, 64, 0, 64)]]
    flash = round(320 * profile(home.profile).chips[home.name].flash_cycles_per_byte)
    plain, placed = estimate(works, home), estimate(works, home, accesses=accesses)
    assert placed.total_cycles == plain.total_cycles + 256 * 2
    assert placed.breakdown == {
        "compute": plain.breakdown["compute"], "flash_stalls": 2 * flash, "sram_stalls": 0,
        "cache_misses": 512,
    }  # fmt: skip
    assert sum(placed.breakdown.values()) == placed.total_cycles
    assert placed.stalls == (flash + 512, flash)
    assert placed.time_ms.provenance is Provenance.MODELLED
    assert plain.time_ms.provenance is Provenance.CALIBRATED
    assert [u.as_dict()["stall_cycles"] for u in placed.regions] == [0, 512]


def test_unknown_wait_states_are_said_with_what_each_would_add():
    home = board("stm32h743")
    tightly_coupled = home.beyond_dma[0][0]
    work = [Work("pointwise", macs=100_000)]
    assert estimate(work, home, accesses=[[Access(tightly_coupled, 64, 64, 0)]]).notes == ()
    placed = estimate(work, home, accesses=[[Access(0, 3200, 3200, 0)]])
    assert placed.breakdown["cache_misses"] == 0
    assert "stm32h743.toml has no wait_states of sram AXI: 100 lines missed" in placed.notes[0]
    assert f"{100 / placed.total_cycles:.2%}" in placed.notes[0]
    assert placed.regions[0].stall_cycles is None
    assert placed.unknown == ("cache_misses",)
    nordic = estimate(work, board("nrf52840"), accesses=[[Access(0, 64, 64, 0)]])
    assert nordic.unknown == ("flash_stalls", "sram_stalls")
    assert estimate(work, board("stm32l4r5"), accesses=[[Access(0, 64, 64, 0)]]).unknown == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("wait_states = 0", "wait_states = 900", r"sram\.0\.wait_states = 900"),
        ("wait_states = 0", "wait_states = -1", r"sram\.0\.wait_states = -1"),
        ("wait_states = 0", "wait_state = 0", r"unknown key sram\.0\.wait_state.*wait_states"),
        ("cached = true", "cached = 1", r"sram\.1\.cached = 1"),
        ("line_bytes = 32", "line_bytes = 1000", r"cache\.line_bytes = 1000"),
        ("line_bytes = 32", "line_bytes = 24", r"cache\.data_bytes = 4,096 is no multiple"),
        ("line_bytes = 32", "", r"SRAM1 is cached, and cache\.line_bytes is absent"),
        ("data_bytes = 4_096", "", r"SRAM1 is cached, and cache\.data_bytes is absent"),
    ],
)
def test_wrong_figures_of_memory_are_refused_by_name(tmp_path, old, new, message):
    from importlib.resources import files

    text = files("mcusim.mcu").joinpath("boards", "stm32f746.toml").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BadBoard, match=message):
        load_board(path)
