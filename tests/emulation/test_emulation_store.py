"""What was learned survives in flash, whenever the supply fails while it is written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from emulation_device import LOAD, SAVE, Device
from networks import small_network

import mcusim
from mcusim.deployment.learned import identity
from mcusim.mcu.flash.flash import SimulatedFlash
from mcusim.mcu.flash.store import Layout, Store, copy_in, head_of, header_bytes


def with_sectors_of_two_sizes():
    """Return a board on which the first copy takes a small sector, and the second a large one."""
    board = mcusim.board("stm32u585")
    small, large = (replace(board.flash.sectors[0], count=c, bytes=b) for c, b in ((33, 2048), (20, 8192)))
    flash = replace(board.flash, bytes=33 * 2048 + 20 * 8192, sectors=(small, large))
    return replace(board, flash=flash)


BOARDS = {"equal copies": mcusim.board("stm32u585"), "unequal copies": with_sectors_of_two_sizes()}


@pytest.fixture(scope="module", params=BOARDS)
def kept(request, tmp_path_factory):
    session = mcusim.Session(small_network(), BOARDS[request.param], "last-2")
    found = Device(session, tmp_path_factory.mktemp("store") / "firmware")
    first, second = found.plan.flash.copies
    assert (len(first) == len(second)) is (request.param == "equal copies")
    return found


def test_the_last_good_copy_survives_a_power_cut_at_every_operation(kept):
    kept.flash = b"\xff" * kept.size
    first = kept.arena
    assert kept.command(LOAD)[0] == 1  # there is none yet
    assert kept.arena == first
    assert kept.command(SAVE)[0] == 0
    before = kept.flash
    second = bytes(np.frombuffer(first, np.uint8) ^ 0x5A)
    kept.arena = second
    result, operations = kept.command(SAVE)
    assert result == 0
    kept.arena = b"\0" * len(first)
    assert kept.command(LOAD)[0] == 0
    new = kept.arena
    assert new != b"\0" * len(first)
    kept.flash = before
    kept.arena = b"\0" * len(first)
    assert kept.command(LOAD)[0] == 0
    old = kept.arena
    assert old != new
    for cut in range(operations):
        kept.flash, kept.arena = before, second
        assert kept.command(SAVE, cut)[0] == 1
        kept.arena = b"\0" * len(first)
        assert kept.command(LOAD)[0] == 0
        assert kept.arena == old, cut
    kept.flash, kept.arena = before, second
    assert kept.command(SAVE, operations)[0] == 0
    kept.arena = b"\0" * len(first)
    assert kept.command(LOAD)[0] == 0
    assert kept.arena == new


def test_the_host_reads_what_the_device_wrote(kept):
    kept.flash = b"\xff" * kept.size
    assert kept.command(SAVE)[0] == 0
    layout = Layout(kept.plan.flash.copies, header_bytes(kept.plan.board))
    flash = SimulatedFlash(kept.plan.board, layout.area)
    flash.data[:] = kept.flash
    assert Store(flash, layout).recover() is None  # nobody's
    copy = Store(flash, layout, identity(kept.plan.step)).recover()
    assert copy is not None
    assert (copy.sequence, copy.slot) == (1, 0)
    assert copy.payload[-8:] == bytes(8)  # steps done


def test_a_copy_of_another_network_of_the_same_length_is_not_loaded(kept):
    kept.flash = b"\xff" * kept.size
    assert kept.command(SAVE)[0] == 0
    header = header_bytes(kept.plan.board)
    copy = copy_in(kept.flash, header)
    for network, result in ((copy.network, 0), (copy.network ^ 1, 1)):
        head = head_of(1, copy.payload, network).ljust(header, b"\xff")
        kept.flash = head + kept.flash[header:]
        assert kept.command(LOAD)[0] == result


def test_what_was_learned_becomes_a_network_again(kept):
    kept.flash = b"\xff" * kept.size
    with pytest.raises(mcusim.BadRun, match="no whole copy"):
        kept.session.learned(kept.flash)
    device, step = kept.machine, kept.plan.step
    slot = next(name for name in step.tensors if name == "weight:b.project")
    start = device.arena + kept.plan.solution.offsets[step.tensors[slot].buffer]
    own = np.arange(step.tensors[slot].bytes).astype(np.int8)
    device.write(start, own.tobytes())
    assert kept.command(SAVE)[0] == 0
    learned = kept.session.learned(kept.flash)
    assert np.array_equal(learned.tensors["b.project.w"].data.reshape(-1), own)
    other = mcusim.Session(small_network(), mcusim.board("stm32u585"), "dense")
    with pytest.raises(mcusim.BadRun, match="this firmware writes"):
        other.learned(kept.flash)
    twin = mcusim.Session(small_network(seed=1), kept.plan.board, "last-2")
    with pytest.raises(mcusim.BadRun, match="another network, though of the same length"):
        twin.learned(kept.flash)
