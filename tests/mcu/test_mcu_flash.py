from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import BadArgument, BadBoard, Interval
from mcusim.core.errors import OutOfFlash
from mcusim.mcu import board, board_names
from mcusim.mcu.flash.flash import PowerCut, SimulatedFlash, sectors
from mcusim.mcu.flash.store import Store, lay_out
from mcusim.mcu.flash.write_back import write_back


def store(name: str, payload_bytes: int, slots: int = 2, **choices) -> Store:
    layout = lay_out(board(name), payload_bytes, slots)
    return Store(SimulatedFlash(board(name), layout.area, **choices), layout)


@given(
    name=st.sampled_from(["stm32l4r5", "rp2040", "stm32g0b1"]),
    slots=st.integers(2, 3),
    cuts=st.lists(st.one_of(st.none(), st.integers(0, 700)), min_size=1, max_size=5),
    seed=st.integers(0, 2**32),
)
def test_recovery_finds_the_last_good_copy_whenever_the_power_fails(name, slots, cuts, seed):
    """Each write may lose its power after any operation; then the copy before, or this one, is whole."""
    kept = store(name, 5000, slots, seed=seed)
    good = None
    for number, cut in enumerate(cuts):
        payload = bytes((number * 31 + i * 7) % 256 for i in range(5000 - number))
        kept.flash.cut_after = None if cut is None else kept.flash.operations + cut
        try:
            written = kept.write(payload).payload
        except PowerCut:
            written = None
        kept.flash.cut_after = None
        found = kept.recover()
        if written is not None:
            assert found is not None
            assert found.payload == payload
        else:
            assert (found and found.payload) in (good, payload)
        good = found and found.payload


def test_every_single_operation_of_a_write_may_be_the_last():
    total = store("stm32l4r5", 300)
    total.write(b"a" * 300)
    before = total.flash.operations
    total.write(b"b" * 300)
    operations = total.flash.operations - before
    for cut in range(operations):
        kept = store("stm32l4r5", 300, seed=cut)
        kept.write(b"a" * 300)
        kept.flash.cut_after = kept.flash.operations + cut
        with pytest.raises(PowerCut):
            kept.write(b"b" * 300)
        kept.flash.cut_after = None
        found = kept.recover()
        # The cut of the very last unit, the header, may happen to leave a whole header behind.
        assert found is not None
        assert found.payload in ((b"a" * 300,) if cut < operations - 3 else (b"a" * 300, b"b" * 300))
        assert kept.write(b"c" * 300).sequence >= 2
        again = kept.recover()
        assert again is not None
        assert again.payload == b"c" * 300


def test_slots_are_worn_in_turn():
    kept = store("stm32l4r5", 5000, slots=4)
    for i in range(8):
        kept.write(bytes([i]) * 5000)
    assert set(kept.flash.erases) == {2}
    assert write_back(board("stm32l4r5"), 5000, slots=4).sessions == 40_000


def test_flash_behaves_like_flash():
    flash = SimulatedFlash(board("stm32l4r5"), Interval(0, 8192))
    flash.program(0, b"\x00" * 8)
    with pytest.raises(BadArgument, match="not erased"):
        flash.program(0, b"\x00" * 8)
    with pytest.raises(BadArgument, match="the unit is 8 B"):
        flash.program(8, b"\x00" * 7)
    flash.erase(0)
    assert flash.read(0, 8) == b"\xff" * 8
    assert flash.erases == [1, 0]
    with pytest.raises(BadArgument, match="whole sectors"):
        SimulatedFlash(board("stm32l4r5"), Interval(0, 100))


@pytest.mark.parametrize("name", board_names())
def test_layouts_are_whole_sectors_that_do_not_overlap(name):
    found = board(name)
    starts = {unit.start for unit, _ in sectors(found.flash)}
    layout = lay_out(found, 30_000, 2)
    a, b = layout.slots
    assert not a.overlaps(b)
    assert {a.start, b.start} <= starts
    assert b.end == found.flash.bytes
    assert min(len(a), len(b)) >= 30_000 + layout.header_bytes


def test_a_store_that_does_not_fit():
    with pytest.raises(OutOfFlash, match="missing"):
        lay_out(board("stm32f746"), 600_000)
    with pytest.raises(BadArgument, match="power-safe"):
        lay_out(board("stm32f746"), 100, slots=1)
    with pytest.raises(BadArgument, match="does not fit"):
        store("stm32l4r5", 100).write(b"x" * 9000)


@pytest.mark.smoke
def test_the_cost_of_a_write_back():
    cost = write_back(board("stm32l4r5"), 20_000)
    assert (cost.erased_sectors, cost.erased_bytes) == (5, 20_480)
    units = (24 + 20_000) // 8
    assert cost.programmed_units == units
    assert cost.typical_ms == pytest.approx(5 * 22 + units * 0.082)
    assert cost.worst_ms == pytest.approx(5 * 24.47 + units * 0.082)
    assert (cost.time_ms.low, cost.time_ms.high) == (cost.typical_ms, cost.worst_ms)
    assert cost.sessions == 20_000
    # One 128 KB sector of an STM32H743 takes about a second.
    assert 1100 < write_back(board("stm32h743"), 20_000).typical_ms < 1600


def test_absent_flash_times_are_named():
    with pytest.raises(BadBoard, match=r"flash\.program_typ_us.*stm32u575\.toml"):
        _ = write_back(board("stm32u575"), 1000).typical_ms
    with pytest.raises(BadBoard, match=r"flash\.endurance_cycles.*rp2040\.toml"):
        _ = write_back(board("rp2040"), 1000).sessions
