"""What the heuristic planners share: put blocks, one after the other, as low as they go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np

from mcusim.memory.block import MAX_BYTES
from mcusim.memory.bound import Bound, lower_bound
from mcusim.memory.planners import placing_core
from mcusim.memory.problem import Problem, Solution, judge

LONG = 1_000_000
"""Pairs of blocks from which on a search is compiled: it would take longer than to load a compiler."""


class Placing:
    """A problem prepared for placing its blocks in any order.

    Which blocks are live together is asked of the row of those placed so far, sorted by offset, and not kept
    as pairs: a problem may have any number of them.

    Attributes:
        problem: what is to be solved.
        bound: its liveness lower bound.
        sizes: bytes of each block, by index.
        work: how often a neighbour was looked at so far, over all orders, if each block looked at all that
            are live together with it: the measure of effort.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.bound: Bound = lower_bound(problem)
        self.sizes = [block.bytes for block in problem.blocks]
        self.work = 0
        self._pairs = 0
        self._looks = _neighbours(problem)
        self._loops = _Loops(problem, compiled=False)

    def place(
        self, order: Sequence[int], offsets: list[int], *, start: int = 0, limit: int | None = None
    ) -> int:
        """Place the blocks of ``order[start:]`` at the lowest address each can have.

        Args:
            order: block indices.
            offsets: one entry a block, changed in place; those of ``order[:start]`` must be set,
                the others are ignored.
            start: position in ``order`` to begin at.
            limit: give up as soon as a block reaches above this height.

        Returns:
            The height of the blocks placed by this call, or more than ``limit`` when given up.
        """
        self._pairs += (len(order) - start) * (len(order) + start) // 2
        if not self._loops.compiled and self._pairs > LONG:
            self._loops = _Loops(self.problem, compiled=True)
        row = sorted((i for i in order[:start] if self.sizes[i]), key=offsets.__getitem__)
        count = len(row)
        row += [0] * (len(order) - count)
        for index in order[start:]:
            offsets[index] = -1
        limit = MAX_BYTES if limit is None else limit
        height, end, offsets[:] = self._loops.place(list(order), start, limit, offsets, row, count)
        self.work += sum(self._looks[i] + 1 for i in order[start:end])
        return height

    def supports(self, order: Sequence[int], offsets: Sequence[int], height: int) -> list[int]:
        """Return the turns of the blocks that reach ``height`` and of all that hold them up, sorted.

        A block holds another up if it lies right below it and was placed before it.
        """
        turns = [0] * len(order)
        for turn, index in enumerate(order):
            turns[index] = turn
        seen = self._loops.supports(turns, height, list(offsets))
        return sorted(turns[index] for index, found in enumerate(seen) if found)

    def solution(self, planner: str, offsets: Sequence[int], *, winner: str = "") -> Solution:
        """Return ``offsets`` as the solution of ``planner``."""
        height = max((o + s for o, s in zip(offsets, self.sizes, strict=True)), default=0)
        return Solution(
            offsets={b.name: o for b, o in zip(self.problem.blocks, offsets, strict=True)},
            height=height,
            planner=planner,
            status=judge(self.problem, height, self.bound.bytes),
            lower_bound=self.bound.bytes,
            winner=winner or planner,
            work=self.work,
        )

    def place_all(self, order: Sequence[int]) -> list[int]:
        """Return the offset of every block, placed in ``order``."""
        offsets = [-1] * len(self.sizes)
        self.place(order, offsets)
        return offsets


class _Loops:
    """The loops of ``placing_core`` on a problem's blocks, compiled or as they are."""

    def __init__(self, problem: Problem, *, compiled: bool) -> None:
        blocks, self.compiled = problem.blocks, compiled
        steps = [step for block in blocks for step in block.shrinks]
        number = {block.name: i for i, block in enumerate(blocks)} if problem.overlaps else {}
        over: list[list[tuple[int, int]]] = [[] for _ in blocks]
        for overlap in problem.overlaps:
            over[number[overlap.new]].append((number[overlap.old], overlap.distance))
        licences = [licence for some in over for licence in some]
        fields = (
            [block.bytes for block in blocks],
            [problem.align_of(block) for block in blocks],
            [block.lifetime.start for block in blocks],
            [block.lifetime.end for block in blocks],
            [block.shrinks[0][0] if block.shrinks else MAX_BYTES for block in blocks],
            [0, *accumulate(len(block.shrinks) for block in blocks)],
            [time for time, _ in steps],
            [size for _, size in steps],
            [0, *accumulate(map(len, over))],
            [old for old, _ in licences],
            [distance for _, distance in licences],
            [0, *accumulate(len(block.barred) for block in blocks)],
            [low for block in blocks for low, _ in block.barred],
            [high for block in blocks for _, high in block.barred],
        )
        self._fields = [self._row(field) for field in fields]
        self._gaps = self._row(list(problem.gaps))
        self._place: Callable[..., Any] = placing_core.place
        self._supports: Callable[..., Any] = placing_core.supports
        if compiled:
            self._place, self._supports = _compiled(self._place), _compiled(self._supports)

    def place(
        self, order: list[int], first: int, limit: int, offsets: list[int], row: list[int], count: int
    ) -> tuple[int, int, list[int]]:
        """Return height, first turn not taken, and the offsets; see ``placing_core.place``."""
        at = self._row(offsets)
        height, end = self._place(
            self._row(order), first, limit, at, self._row(row), count, *self._fields, self._gaps
        )
        return int(height), int(end), list(map(int, at))

    def supports(self, turns: list[int], height: int, offsets: list[int]) -> list[int]:
        """Return ``seen``, one entry a block; see ``placing_core.supports``."""
        todo, seen = (self._row([0] * len(turns)) for _ in range(2))
        self._supports(self._row(turns), height, self._row(offsets), todo, seen, *self._fields)
        return list(map(int, seen))

    def _row(self, values: list[int]) -> placing_core.Row:
        return np.array(values, np.int64) if self.compiled else values


@cache
def _compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    from mcusim.core.jit import njit

    compiled: Callable[..., Any] = njit(cache=True)(loop)
    return compiled


def _neighbours(problem: Problem) -> list[int]:
    """Return for each block how many others are live together with it; those without bytes do not count."""
    blocks = problem.blocks
    births = np.array([b.lifetime.start for b in blocks], np.int64)
    deaths = np.array([b.lifetime.end for b in blocks], np.int64)
    solid = np.array([b.bytes > 0 for b in blocks], bool)
    born = np.searchsorted(np.sort(births[solid]), deaths)
    dead = np.searchsorted(np.sort(deaths[solid]), births, side="right")
    counts: list[int] = np.where(solid, born - dead - 1, 0).tolist()
    return counts
