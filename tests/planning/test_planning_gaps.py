"""SRAM in several places: no tensor lies across a gap, and one that no block holds does not fit."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mcusim.core import BadArgument, BadProblem, Interval, OutOfSram, Role
from mcusim.files.load import load
from mcusim.mcu import board
from mcusim.mcu.board import SramRegion
from mcusim.memory.block import Block
from mcusim.memory.checker import check_offsets
from mcusim.memory.planners import PLANNERS
from mcusim.memory.problem import Problem
from mcusim.session import Session

H743 = board("stm32h743")


def test_regions_that_follow_each_other_are_one() -> None:
    assert H743.sram_runs == (
        ("AXI", 524_288), ("DTCM", 131_072), ("SRAM1+SRAM2+SRAM3", 294_912), ("SRAM4", 65_536),
    )  # fmt: skip
    assert H743.sram_gaps == (524_288, 655_360, 950_272)
    assert H743.longest_run(200_000) == ("AXI", 200_000)
    assert board("stm32f746").sram_gaps == ()
    unknown = replace(H743, sram=(SramRegion("a", 100), SramRegion("b", 100)))
    assert unknown.sram_gaps == ()


@pytest.mark.parametrize("planner", PLANNERS.names())
def test_no_planner_puts_a_block_across_a_gap(planner: str) -> None:
    if planner == "exact":
        pytest.importorskip("ortools")
    rng = np.random.default_rng(7)
    for _ in range(6):
        blocks = []
        for i in range(12):
            start, length = (int(v) for v in rng.integers((0, 1), (8, 9)))
            size = int(rng.integers(1, 60)) * 4
            blocks.append(Block(f"b{i}", size, Interval(start, start + length), Role.ACTIVATION))
        problem = Problem(tuple(blocks), None, 4, gaps=(240, 300, 640))
        check_offsets(problem, PLANNERS[planner](problem, seed=0, effort=1).offsets)


def test_the_judge_finds_a_block_across_a_gap() -> None:
    problem = Problem((Block("b", 8, Interval(0, 1), Role.ACTIVATION),), gaps=(4,))
    check_offsets(problem, {"b": 4})
    with pytest.raises(BadProblem, match=r"'b'.*across the gap at 4"):
        check_offsets(problem, {"b": 0})


def test_a_tensor_larger_than_any_block_does_not_fit() -> None:
    file = Path(os.environ.get("MCUSIM_DATA", "data")).parent / "cases/tensor_larger_than_any_block.tflite"
    if not file.is_file():
        pytest.skip("no folder 'cases' beside MCUSIM_DATA")
    session = Session(load(file), H743, "none", patches="off")
    plan = session.plan(suggest=False)
    assert not plan.fits
    assert "691,200 B is larger than AXI, the largest block of SRAM (524,288 B)" in plan.verdict
    with pytest.raises(OutOfSram, match=r"larger than AXI"):
        plan.require()
    everywhere = replace(H743, sram=tuple(replace(region, address=None, dma=True) for region in H743.sram))
    assert Session(load(file), everywhere, "none", patches="off").plan(suggest=False).fits


def test_a_heap_is_one_piece_of_memory() -> None:
    model = load("mbv2-w0.35") if os.environ.get("MCUSIM_DATA") else pytest.skip("needs MCUSIM_DATA")
    with pytest.raises(BadArgument, match=r"heap is one piece.*AXI: sram=524288"):
        Session(model, H743, "none", allocator="first_fit").plan(suggest=False)
