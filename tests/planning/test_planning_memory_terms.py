"""Time that a plan spends waiting for memory, from the places it gives its tensors."""

from __future__ import annotations

from dataclasses import replace

import pytest

import mcusim
from mcusim.mcu.board import Cache, SramRegion
from mcusim.planning.placement import place


@pytest.fixture(scope="module")
def plan():
    return mcusim.Session(mcusim.load("synthetic-mbv2"), mcusim.board("stm32f746"), "dynamic").plan()


def on(plan, *regions: SramRegion, cache: Cache | None = None):
    """Place the same step on a board with other SRAM."""
    return place(plan.step, replace(plan.board, sram=regions, cache=cache or Cache()), plan.settings)


def test_every_byte_an_op_moves_is_in_one_region(plan):
    half = plan.peak_bytes // 2 - 3  # so that buffers cross the boundary
    split = on(plan, SramRegion("low", half, 1), SramRegion("high", 1 << 20, 3))
    crossing = [n for n, at in split.solution.offsets.items() if at < half < at + split.step.tensors[n].bytes]
    assert crossing
    for side, counted in (("read_bytes", "sram_read"), ("written_bytes", "sram_written")):
        moved = sum(getattr(use, side) for use in split.estimate.regions)
        assert moved == sum(getattr(op.work, counted) for op in split.step.ops)
    assert all(use.read_bytes and use.written_bytes for use in split.estimate.regions)
    assert split.estimate.breakdown["sram_stalls"] == sum(use.stall_cycles for use in split.estimate.regions)
    assert sum(split.estimate.breakdown.values()) == split.estimate.total_cycles


def test_each_wait_state_adds_what_the_note_says(plan):
    slow = [on(plan, SramRegion("all", 1 << 20, waits)).estimate.total_cycles for waits in (0, 1, 2)]
    assert slow[2] - slow[1] == slow[1] - slow[0] > 0
    unknown = on(plan, SramRegion("all", 1 << 20)).estimate
    assert unknown.total_cycles == slow[0]
    assert f"{(slow[1] - slow[0]) / slow[0]:.2%}" in unknown.notes[-1]


def test_a_larger_cache_never_misses_more(plan):
    region = SramRegion("all", 1 << 20, 5, cached=True)
    missed = [
        on(plan, region, cache=Cache(data_bytes=size, line_bytes=32)).estimate.breakdown["cache_misses"]
        for size in (4096, 65_536, 1 << 20)
    ]
    assert missed[0] >= missed[1] >= missed[2] > 0
    bare = on(plan, replace(region, cached=False)).estimate.breakdown
    assert bare["sram_stalls"] > missed[0]


def test_a_plan_says_what_its_time_is_spent_on(plan):
    told = str(plan)
    assert "spent on" in told
    assert "SRAM stalls 0.00%" in told
    assert plan.operations["stall_cycles"].sum() == sum(plan.estimate.stalls)
    assert plan.as_dict()["time"]["breakdown"] == plan.estimate.breakdown
