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
        neighbours: for each block, the indices of those live together with it at full size: the
            lower of two such blocks needs all its bytes below the other.
        shrunk: for each block ``i``, ``(j, mine, theirs)`` of the blocks live together with it where
            the elder shrank before the younger was born. ``mine`` is the room that ``i`` needs
            below ``j``, its size when both had been born; ``theirs`` is the reverse.
        work: how often a neighbour was looked at so far, over all orders: the measure of effort.

    Raises:
        BadProblem: if more than ``MAX_PAIRS`` pairs of blocks are live together.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.bound: Bound = lower_bound(problem)
        self.sizes = [block.bytes for block in problem.blocks]
        self.aligns = [problem.align_of(block) for block in problem.blocks]
        self.neighbours, self.shrunk = _neighbours(problem)
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
            self.work += len(self.neighbours[index]) + len(self.shrunk[index]) + 1
            end = offset + self.sizes[index]
            if end > height:
                height = end
                if limit is not None and height > limit:
                    break
        return height

    def _lowest(self, index: int, offsets: list[int]) -> int:
        size, sizes, align = self.sizes[index], self.sizes, self.aligns[index]
        # Each placed neighbour forbids the offsets strictly between low and high.
        forbidden = [
            (offset - size, offset + sizes[other])
            for other in self.neighbours[index]
            if (offset := offsets[other]) >= 0
        ]
        for other, mine, theirs in self.shrunk[index]:
            if offsets[other] >= 0:
                forbidden.append((offsets[other] - mine, offsets[other] + theirs))
        forbidden += [(gap - size, gap) for gap in self.problem.gaps]
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

    def holds(self, index: int, offsets: Sequence[int]) -> list[int]:
        """Return the blocks right below block ``index``, which keep it from lying lower."""
        offset, align = offsets[index], self.aligns[index]
        found = [
            other
            for other in self.neighbours[index]
            if offsets[other] < offset < offsets[other] + self.sizes[other] + align
        ]
        for other, _, theirs in self.shrunk[index]:
            if offsets[other] < offset < offsets[other] + theirs + align:
                found.append(other)
        return found


Pairs = tuple[list[list[int]], list[list[tuple[int, int, int]]]]


def _neighbours(problem: Problem) -> Pairs:
    """Return ``Placing.neighbours`` and ``Placing.shrunk``."""
    blocks = problem.blocks
    full: list[list[int]] = [[] for _ in blocks]
    shrunk: list[list[tuple[int, int, int]]] = [[] for _ in blocks]
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
        younger = order[rank + 1 : last[rank]]
        if blocks[elder].shrinks:
            late = blocks[elder].shrinks[0][0]
            for other in younger:
                if blocks[other].lifetime.start >= late:
                    room = blocks[elder].bytes_at(blocks[other].lifetime.start)
                    shrunk[elder].append((other, room, blocks[other].bytes))
                    shrunk[other].append((elder, blocks[other].bytes, room))
            younger = [other for other in younger if blocks[other].lifetime.start < late]
        full[elder] += younger
        for other in younger:
            full[other].append(elder)
    return full, shrunk
