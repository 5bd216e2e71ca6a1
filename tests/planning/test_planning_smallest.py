"""The least SRAM: no plan that is asked for less fits, and who watches for plans hears of one."""

from __future__ import annotations

import os

import pytest
from networks import small_network

import mcusim
from mcusim.core import observe

BOARD = mcusim.board("stm32u585")


@pytest.mark.parametrize("update", ["none", "head", "dynamic:ratio=0.1,blocks=2"])
def test_the_smallest_plan_fits_in_what_it_needs_and_nothing_smaller_is_found(update):
    model = small_network(side=32)
    heard: list[mcusim.Plan] = []
    with observe.observing(heard.append):
        found = mcusim.plan(model, BOARD, update, smallest=True)
    assert heard == [found]
    assert found.fits
    assert found.peak_bytes <= found.settings.sram_bytes
    usual = mcusim.plan(model, BOARD, update)
    assert found.peak_bytes < usual.peak_bytes
    less = mcusim.plan(model, BOARD, update, sram=found.peak_bytes - 1024)
    assert not less.fits
    assert less.peak_bytes >= found.peak_bytes


def test_a_board_that_is_too_small_is_no_obstacle():
    model = small_network(side=32)
    tight = mcusim.plan(model, BOARD, "dense", smallest=True)
    assert mcusim.plan(model, BOARD, "dense", sram="16KiB", smallest=True).peak_bytes == tight.peak_bytes


def test_what_is_missing_is_counted_from_the_least_there_is():
    """Where nothing fits, patches are still looked for where what follows them needs least."""
    if "MCUSIM_DATA" not in os.environ:
        pytest.skip("needs MCUSIM_DATA")
    model = mcusim.load("mbv2-w0.35", classes=10)
    least = mcusim.plan(model, BOARD, "dynamic", smallest=True)
    short = mcusim.plan(model, BOARD, "dynamic", sram=least.peak_bytes // 2)
    assert not short.fits
    assert short.peak_bytes == least.peak_bytes


def test_two_percent_with_16_bit_errors_learn_in_160_kib():
    """All roles counted: MobileNetV2-w0.35, ten classes; ``benchmarks/smallest.csv`` has what is least."""
    if "MCUSIM_DATA" not in os.environ:
        pytest.skip("needs MCUSIM_DATA")
    model = mcusim.load("mbv2-w0.35", classes=10)
    session = mcusim.Session(
        model, "stm32f746", "dynamic", sram="160KiB", formats=mcusim.Formats(error="int16")
    )
    plan = session.plan(suggest=False)
    assert plan.fits
    assert plan.peak_bytes <= 160 * 1024
    assert plan.by_role["runtime"] == session.board.runtime_bytes > 0
    assert sum(plan.by_role.values()) == plan.live_bytes <= plan.peak_bytes
