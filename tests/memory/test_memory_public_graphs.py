"""The default planner on the training steps of the public networks, beside Vela's hill climb."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import mcusim
from mcusim.memory.block import Block
from mcusim.memory.bound import lower_bound
from mcusim.memory.checker import check
from mcusim.memory.planners import best
from mcusim.memory.problem import Problem

ITERATIONS = 10
"""More only cost time: ours reaches the bound, which no placement can beat."""
VELA_BLOCKS = 450
"""Beyond this many, Vela's setup takes longer than all other tests of this folder."""


class Range:
    """A live range as Vela wants it: ends inclusive, sizes rounded up."""

    def __init__(self, block: Block, align: int) -> None:
        self.start_time, self.end_time = block.lifetime.start, block.lifetime.end - 1
        self.size = -(-block.bytes // align) * align
        self._align = align

    def get_alignment(self) -> int:
        return self._align


@pytest.mark.data
@pytest.mark.oracle
@pytest.mark.parametrize("update", ["head", "bias", "last-6", "dense", "dynamic"])
@pytest.mark.parametrize("name", ["mbv2-w0.35", "mcunet-5fps", "proxyless-w0.3"])
def test_default_planner_is_never_worse_than_vela_on_public_graphs(
    name: str, update: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vela = pytest.importorskip("ethosu.vela.hillclimb_allocation")
    monkeypatch.setattr(vela.HillClimbAllocator, "MIN_ITERATIONS_IMPROVE", ITERATIONS)
    session = mcusim.Session(
        mcusim.load(name, classes=10),
        mcusim.board("stm32f746"),
        update=update,
        patches=None,
        residency="sram",
    )
    problem = session.plan().problem.with_capacity(None)
    solution = best(problem)
    check(problem, solution)
    assert solution.height <= lower_bound(problem).padded_bytes
    # Vela knows no shrinking blocks: both get the same live ranges at full size.
    flat = Problem(tuple(replace(b, shrinks=()) for b in problem.blocks if b.bytes), align=problem.align)
    if len(flat.blocks) > VELA_BLOCKS:
        return
    align = max(flat.align_of(b) for b in flat.blocks)
    ranges = [Range(block, align) for block in flat.blocks]
    offsets = vela.HillClimbAllocator(ranges, ITERATIONS, 2**40).allocate()
    theirs = max(offset + r.size for offset, r in zip(offsets, ranges, strict=True))
    assert best(flat).height <= theirs
