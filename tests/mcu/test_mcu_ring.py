"""A ring of records in flash: nothing that lives is lost, and it is erased no more than it has to be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import BadBoard
from mcusim.mcu.board_files import board
from mcusim.mcu.flash.ring import Ring

NRF = board("nrf52840")


def living(ring: Ring) -> dict[int, int]:
    return {slot: block for block, slots in enumerate(ring._live) for slot in slots}


@given(st.integers(1, 3000), st.integers(1, 40), st.lists(st.integers(0, 39), max_size=400))
def test_every_living_record_is_in_one_block_and_one_block_is_erased(size, capacity, writes):
    ring = Ring(NRF, size, capacity)
    written = {}
    for number, slot in enumerate(writes):
        if slot < capacity:
            written[slot] = number.to_bytes(size, "little") if size > 1 else bytes([number % 251])
            ring.write(slot, np.frombuffer(written[slot], np.uint8))
            assert living(ring) == {s: ring.place(s) // ring.per_block for s in written}
            assert all(len(slots) <= ring.per_block for slots in ring._live)
            blocks = ring.image.reshape(ring.blocks, -1)
            assert (blocks == 0xFF).all(axis=1).any()
    assert {*living(ring)} == {*written}
    assert {slot: ring.read(slot)[:size].tobytes() for slot in written} == written
    assert ring.programmed >= sum(slot < capacity for slot in writes)


def test_in_turn_a_block_is_erased_for_each_block_that_is_written():
    ring = Ring(NRF, 1024, 12)  # four to a unit of 4,096 B
    assert (ring.per_block, ring.blocks, ring.bytes) == (4, 5, 20_480)
    for number in range(12 + 400):
        ring.write(number % 12)
    assert ring.programmed == 412  # what is put out is dead before its block's turn: nothing is moved
    assert sum(ring.erases) == 412 // 4 - 4
    assert max(ring.erases) - min(ring.erases) <= 1


def test_replaced_at_random_records_are_moved_too():
    ring = Ring(NRF, 1024, 12)
    for slot in np.random.default_rng(0).integers(0, 12, 412).tolist():
        ring.write(slot)
    assert 412 < ring.programmed < 1000
    assert sum(ring.erases) > 412 // 4 - 4


def test_a_record_larger_than_a_unit_takes_several():
    ring = Ring(NRF, 5000, 3)
    assert (ring.per_block, ring.bytes) == (1, 5 * 2 * 4096)
    for number in range(9):
        ring.write(number % 3)
    assert sum(ring.erases) == 9 - 4


def test_time_and_life_are_those_of_its_erases_and_programs():
    ring = Ring(NRF, 1024, 12)
    assert ring.sessions is None
    for number in range(412):
        ring.write(number % 12)
    flash = NRF.flash
    erase, program = flash.sectors[-1].erase_typ_ms, flash.program_typ_us
    erase = flash.sectors[-1].erase_max_ms if erase is None else erase
    program = flash.program_max_us if program is None else program
    expected = 99 * erase / 1e3 + 412 * 256 * program / 1e6
    assert ring.time_s.value == pytest.approx(expected)
    assert ring.sessions == flash.endurance_cycles * 5 // 99
    nothing = replace(flash, program_typ_us=None, program_max_us=None)
    with pytest.raises(BadBoard, match="program_typ_us"):
        _ = Ring(replace(NRF, flash=nothing), 10, 2).time_s
