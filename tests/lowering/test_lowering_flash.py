"""What lies in flash."""

from __future__ import annotations

from itertools import pairwise

from every_op import every_op_network
from networks import small_network

import mcusim
from mcusim.core import Role
from mcusim.lowering.flash import checkpoint_bytes, flash_layout
from mcusim.lowering.lower import lower
from mcusim.mcu.flash.write_back import write_back
from mcusim.update.scheme import scheme


def test_constants_do_not_overlap_and_the_checkpoint_has_a_spare():
    model, board = small_network(), mcusim.board("nrf52840")
    step = lower(model, scheme("last-2").scope(model))
    layout = flash_layout(step, board)
    items = sorted(layout.items, key=lambda i: i.offset)
    assert all(a.offset + a.bytes <= b.offset for a, b in pairwise(items))
    assert layout.fits
    assert layout.by_role[Role.CODE] == board.runtime.code_bytes
    copies = [i for i in items if i.role is Role.CHECKPOINT]
    page = board.flash.sectors[-1].bytes
    assert len(copies) == 2
    assert all(c.offset % page == 0 and c.bytes % page == 0 for c in copies)
    assert copies[0].bytes - page < checkpoint_bytes(step) <= copies[0].bytes


def test_every_constant_of_a_network_lies_in_flash_once():
    model = every_op_network()
    items = flash_layout(lower(model, scheme("none").scope(model)), mcusim.board("stm32f746")).items
    constants = {name for op in model.ops for name in op.inputs if model.tensors[name].constant}
    there = sum(i.bytes for i in items if i.role in (Role.WEIGHT, Role.BIAS, Role.HEAD))
    assert there == sum(model.tensors[name].bytes for name in constants)
    others = {n for op in model.ops if not op.traits.weighted for n in op.inputs if n in constants}
    assert others
    assert others <= {str(item.name) for item in items}


def test_frozen_weights_lie_once_and_learning_ones_in_the_two_copies_alone():
    model = small_network()
    layout = flash_layout(lower(model, scheme("head").scope(model)), mcusim.board("nrf52840"))
    assert layout.by_role[Role.WEIGHT] == model.conv_weights
    assert Role.HEAD not in layout.by_role
    dense = flash_layout(lower(model, scheme("dense").scope(model)), mcusim.board("nrf52840"))
    assert not {Role.WEIGHT, Role.BIAS, Role.HEAD} & set(dense.by_role)
    learned = checkpoint_bytes(lower(model, scheme("dense").scope(model)))
    assert dense.by_role[Role.CHECKPOINT] >= 2 * learned


def test_tiny_trainings_own_deployment_has_room_in_flash(data_dir):
    """MCUNet-5fps with its static scheme of 49 KB on an STM32F746: copies in sectors of two sizes."""
    plan = mcusim.plan(
        mcusim.load("mcunet-5fps", classes=10), mcusim.board("stm32f746"), "static:mcunet-49kb"
    )
    assert plan.fits
    assert [(c.start, c.end) for c in plan.flash.copies] == [(65_536, 131_072), (131_072, 262_144)]


def test_wear_and_time_of_a_write_back_are_those_of_the_sectors_that_are_taken():
    board = mcusim.board("stm32f746")
    plan = mcusim.plan(mcusim.load("synthetic-mbv2"), board, "head")
    first, second = plan.flash.copies
    assert (len(first), len(second)) == (32_768, 32_768)
    cost = write_back(board, checkpoint_bytes(plan.step), places=plan.flash.copies)
    assert (cost.erased_sectors, cost.erased_bytes) == (1, 32_768)
    assert cost.layout.slots == plan.flash.copies
