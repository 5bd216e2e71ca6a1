"""Which region of SRAM holds what: placement over all of them, and what a plan says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from mcusim.core import Role
from mcusim.lowering.step import Step
from mcusim.mcu.board import Board, SramRegion
from mcusim.mcu.cycles.sram import split
from mcusim.memory.outside import least_moved, spread
from mcusim.memory.planners import PLANNERS
from mcusim.memory.problem import Problem, Solution


@dataclass(frozen=True, slots=True)
class Filled:
    """What a plan does with one region.

    Attributes:
        region: of the board.
        used_bytes: from its first byte to the end of the highest block in it.
        tensors: buffers that begin in it.
        read_bytes, written_bytes: that a step moves there, each byte once an op.
    """

    region: SramRegion
    used_bytes: int
    tensors: int
    read_bytes: int
    written_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "region": self.region.name, "bytes": self.region.bytes, "external": self.region.external,
            "used_bytes": self.used_bytes, "tensors": self.tensors, "read_bytes": self.read_bytes,
            "written_bytes": self.written_bytes,
        }  # fmt: skip


def placed(problem: Problem, step: Step, board: Board, planner: str, seed: int) -> Solution:
    """Place a step's problem; on a board with external memory only what has no room inside lies there."""

    def plan(part: Problem, effort: int | None = None) -> Solution:
        return PLANNERS[planner](part, seed=seed, effort=effort)

    inside = board.inside_bytes
    if problem.capacity is None or problem.capacity <= inside:
        return plan(problem)
    return spread(problem, inside, moved(problem, step), plan, greedy=planner == "best")


def moved(problem: Problem, step: Step) -> dict[str, int]:
    """Return the bytes that a step reads and writes of each buffer that may lie outside.

    The stack and the statics of the firmware stay inside.
    """
    found = {block.name: 0 for block in problem.blocks if block.role is not Role.RUNTIME}
    for op in step.ops:
        for touch in op.traffic:
            buffer = step.tensors[touch.tensor].buffer
            if buffer in found:
                found[buffer] += touch.read + touch.written
    return found


def outside_at_least(problem: Problem, step: Step, board: Board) -> int:
    """Return the bytes that no placement moves fewer of outside the chip in a step."""
    return least_moved(problem, board.inside_bytes, moved(problem, step))


def filled(problem: Problem, step: Step, board: Board, offsets: Mapping[str, int]) -> tuple[Filled, ...]:
    """Return what lies in each region and what a step moves there."""
    ends = list(accumulate(region.bytes for region in board.sram))
    used, begun = [0] * len(ends), [0] * len(ends)
    read, written = [0] * len(ends), [0] * len(ends)
    for block in (block for block in problem.blocks if block.bytes):
        first, last = offsets[block.name], offsets[block.name] + block.bytes
        begin = True
        for index, end in enumerate(ends):
            start = end - board.sram[index].bytes
            if first < end and last > start:
                used[index] = max(used[index], min(last, end) - start)
                begun[index] += begin
                begin = False
    for accesses in step.accesses(offsets):
        for access in accesses:
            for index, loaded, stored in split(access, ends):
                read[index] += loaded
                written[index] += stored
    rows = zip(board.sram, used, begun, read, written, strict=True)
    return tuple(Filled(*row) for row in rows)


def regions_of(board: Board) -> tuple[tuple[int, str], ...]:
    """Return the offset in the arena at which each region begins, and its name."""
    ends = accumulate(region.bytes for region in board.sram)
    return tuple((end - region.bytes, region.name) for region, end in zip(board.sram, ends, strict=True))


def outside_bytes(step: Step, board: Board, offsets: Mapping[str, int]) -> list[int]:
    """Return the bytes that each op moves outside the chip."""
    inside = board.inside_bytes
    totals = []
    for accesses in step.accesses(offsets):
        parts = (part for access in accesses for part in split(access, [inside, 1 << 62]))
        totals.append(sum(read + written for index, read, written in parts if index))
    return totals
