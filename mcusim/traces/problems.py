"""Allocation problems as traces: to be replayed, explained and exported without a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mcusim.core.interval import Interval
from mcusim.events import Header
from mcusim.memory.block import Block
from mcusim.memory.checker import check_offsets
from mcusim.memory.csv import NEEDED, read_placed
from mcusim.memory.planners import PLANNERS
from mcusim.memory.problem import Problem
from mcusim.traces.store import Trace
from mcusim.traces.template import OpSpan, step_template

PLANNER = "best"
"""Places the blocks of a file that gives no offsets."""


def is_problem(path: Path) -> bool:
    """True if a file begins as an allocation problem in the minimalloc CSV form does."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.readline(4096).decode("utf-8", "replace")
    return {*NEEDED} <= {cell.strip().lower() for cell in first.split(",")}


def read_problem(path: str | Path) -> Trace:
    """Return an allocation problem in a file as the trace of one step.

    Offsets are those of the file; where it has none, those of the planner ``best``.

    Raises:
        BadProblem: with the row, if the file breaks any rule, or two blocks of it overlap.
    """
    problem, offsets = read_placed(path)
    if offsets is None:
        return trace_of(problem, PLANNERS[PLANNER](problem).offsets, planner=PLANNER)
    check_offsets(problem, offsets)
    return trace_of(problem, offsets)


def trace_of(problem: Problem, offsets: Mapping[str, int], *, planner: str = "") -> Trace:
    """Return the trace of one step in which the blocks of a problem come and go.

    Between two times at which any block begins, shrinks or ends nothing changes: each stretch is one op,
    named after the time at which it begins.
    """
    marks = {mark for block in problem.blocks for mark in _marks(block)}
    times = sorted(marks)
    place = {time: index for index, time in enumerate(times)}
    packed = replace(problem, blocks=tuple(_moved(block, place) for block in problem.blocks))
    ops = [OpSpan(f"time {time}", "forward", 0) for time in times[:-1]]
    template = step_template(packed, offsets, ops)
    header = Header(planner=planner, align=problem.align, sram_bytes=problem.capacity or 0)
    return Trace(header, template.step)


def _marks(block: Block) -> set[int]:
    return {block.lifetime.start, block.lifetime.end, *(time for time, _ in block.shrinks)}


def _moved(block: Block, place: Mapping[int, int]) -> Block:
    lifetime = Interval(place[block.lifetime.start], place[block.lifetime.end])
    return replace(block, lifetime=lifetime, shrinks=tuple((place[t], size) for t, size in block.shrinks))
