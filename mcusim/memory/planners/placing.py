"""What the heuristic planners share: put blocks, one after the other, as low as they go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.core import BadProblem
from mcusim.memory.bound import Bound, lower_bound
from mcusim.memory.problem import Problem, Solution, judge

MAX_PAIRS = 5_000_000
"""Pairs of blocks live together that a problem may have; more would not fit in memory."""


class Placing:
    """A problem prepared for placing its blocks in any order.

    Attributes:
        problem: what is to be solved.
        bound: its liveness lower bound.
        sizes, aligns: bytes and alignment of each block, by index.
        neighbours: for each block ``i``, ``(j, mine, theirs)`` of every block ``j`` live together
            with it. ``mine`` is the room that ``i`` needs below ``j``: its size when both have
            been born, since a block that shrank earlier needs less. ``theirs`` is the reverse.
        work: how often a neighbour was looked at so far, over all orders: the measure of effort.

    Raises:
        BadProblem: if more than ``MAX_PAIRS`` pairs of blocks are live together.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.bound: Bound = lower_bound(problem)
        self.sizes = [block.bytes for block in problem.blocks]
        self.aligns = [problem.align_of(block) for block in problem.blocks]
        self.neighbours = _neighbours(problem)
        self.work = 0

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
        for index in order[start:]:
            offsets[index] = -1
        height = 0
        for index in order[start:]:
            offset = self._lowest(index, offsets)
            offsets[index] = offset
            self.work += len(self.neighbours[index]) + 1
            end = offset + self.sizes[index]
            if end > height:
                height = end
                if limit is not None and height > limit:
                    break
        return height

    def _lowest(self, index: int, offsets: list[int]) -> int:
        align = self.aligns[index]
        # Each placed neighbour forbids the offsets strictly between low and high.
        forbidden = [
            (offsets[other] - mine, offsets[other] + theirs)
            for other, mine, theirs in self.neighbours[index]
            if offsets[other] >= 0
        ]
        forbidden.sort()
        place = 0
        for low, high in forbidden:
            if low >= place:
                break
            if high > place:
                place = high if align == 1 else -(-high // align) * align
        return place

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


def _neighbours(problem: Problem) -> list[list[tuple[int, int, int]]]:
    """Return for each block ``(other, room of mine below it, room of its below mine)``."""
    blocks = problem.blocks
    result: list[list[tuple[int, int, int]]] = [[] for _ in blocks]
    order = [i for i, b in enumerate(blocks) if b.bytes]
    order.sort(key=lambda i: blocks[i].lifetime.start)
    starts = np.array([blocks[i].lifetime.start for i in order], np.int64)
    ends = np.array([blocks[i].lifetime.end for i in order], np.int64)
    # Sorted by birth, the blocks that meet a block and were born after it follow it without a gap.
    last = np.searchsorted(starts, ends).tolist()
    pairs = sum(last) - len(order) * (len(order) + 1) // 2
    if pairs > MAX_PAIRS:
        raise BadProblem(
            "problem", f"has {pairs:,} pairs of blocks that are live together", f"at most {MAX_PAIRS:,}"
        )
    for rank, elder in enumerate(order):
        block = blocks[elder]
        mine = result[elder]
        for younger in order[rank + 1 : last[rank]]:
            born = blocks[younger]
            room = block.bytes_at(born.lifetime.start) if block.shrinks else block.bytes
            mine.append((younger, room, born.bytes))
            result[younger].append((elder, born.bytes, room))
    return result
