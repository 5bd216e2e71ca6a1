"""What a plan says about flash."""

from __future__ import annotations

from dataclasses import replace

import pytest

import mcusim
from mcusim.core import OutOfFlash, Role
from mcusim.planning.facts import flash_shares
from mcusim.sections.text import text


@pytest.fixture(scope="module")
def plan():
    return mcusim.Session(mcusim.load("synthetic-mbv2"), mcusim.board("nrf52840"), "dynamic").plan()


def test_flash_roles_gaps_and_what_is_free_sum_to_the_capacity(plan):
    found = flash_shares(plan.flash)
    assert found.total == plan.flash.capacity_bytes
    assert found.whole == "capacity"
    assert {"code", "weight", "bias", "quant", "checkpoint", "free"} <= {part.name for part in found.parts}
    assert sum(found.share(part.bytes) for part in found.parts) == pytest.approx(1)


def test_roles_and_holes_sum_to_the_peak(plan):
    assert plan.sram_shares().total == plan.peak_bytes


def test_both_copies_of_the_learned_parameters_are_shown(plan):
    first, second = (i.offset for i in plan.flash.items if i.role is Role.CHECKPOINT)
    assert f"twice, at {first:,} and {second:,}" in str(plan)
    assert text([flash_shares(plan.flash)]) in str(plan)
    assert "checkpoint" in plan._repr_html_()


def test_what_does_not_fit_in_flash_says_what_it_is_made_of(plan):
    small = replace(plan, flash=replace(plan.flash, capacity_bytes=100_000))
    assert not small.fits
    found = flash_shares(small.flash)
    assert found.whole == "needed"
    assert found.total == plan.flash.total_bytes
    assert "free" not in {part.name for part in found.parts}
    with pytest.raises(OutOfFlash) as caught:
        small.require()
    assert caught.value.missing_bytes == plan.flash.total_bytes - 100_000
    assert {block.role for block in caught.value.live} == {str(role) for role in plan.flash.by_role}
