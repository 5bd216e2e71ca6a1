"""The judge of plans. It shares no code with any planner."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

from mcusim.core import BadProblem, LiveBlock, OutOfSram
from mcusim.memory.block import Block
from mcusim.memory.problem import Problem, Solution


def check(problem: Problem, solution: Solution) -> None:
    """Check that ``solution`` is a valid placement of ``problem`` within its capacity.

    Raises:
        BadProblem: if a block has no offset, a misaligned or negative one, if two live blocks
            overlap (both are named), or if the stated height is not the real one.
        OutOfSram: if the placement is valid but higher than the capacity.
    """
    check_offsets(problem, solution.offsets)
    height = max((solution.offsets[b.name] + b.bytes for b in problem.blocks), default=0)
    if solution.height != height:
        raise BadProblem(
            f"solution of {solution.planner}", f"states {solution.height} bytes and reaches {height}"
        )
    if problem.capacity is not None and height > problem.capacity:
        raise _too_high(problem, solution, height)


def check_offsets(problem: Problem, offsets: Mapping[str, int]) -> None:
    """Check alignment, lower bounds of addresses, gaps, and that no two live rectangles overlap.

    A sweep over time keeps the live rectangles sorted by address; a newcomer can only hit its
    two neighbours there, so the check takes O(n log n) comparisons. A block that may overlap dying ones, and
    begins at least as far below each as it has to, takes the bytes they share before it comes: whoever
    hits these later hits it.

    Raises:
        BadProblem: naming the block, or both blocks, at fault.
    """
    over: dict[str, list[tuple[str, int]]] = {}
    for overlap in problem.overlaps:
        over.setdefault(overlap.new, []).append((overlap.old, overlap.distance))
    solid = {block.name for block in problem.blocks if block.bytes}
    events: list[tuple[int, int, Block, int]] = []
    for block in problem.blocks:
        offset = offsets.get(block.name)
        if offset is None:
            raise BadProblem(f"block {block.name!r}", "has no offset", "plan every block")
        if offset < 0:
            raise BadProblem(f"block {block.name!r}", f"lies at {offset}, below address 0")
        if offset % problem.align_of(block):
            raise BadProblem(
                f"block {block.name!r}", f"lies at {offset}, no multiple of {problem.align_of(block)}"
            )
        gap = problem.crossed(offset, block.bytes)
        if gap is not None:
            raise BadProblem(
                f"block {block.name!r}", f"lies at {offset} with {block.bytes} bytes, across the gap at {gap}"
            )
        for low, high in block.barred:
            if offset < high and low < offset + block.bytes:
                raise BadProblem(
                    f"block {block.name!r}",
                    f"lies at {offset} with {block.bytes} bytes, and is barred from {low}..{high}",
                )
        for lifetime, size in block.rectangles:
            if size:
                grows = 2 if block.name in over and lifetime.start == block.lifetime.start else 1
                events.append((lifetime.start, grows, block, size))
                events.append((lifetime.end, 0, block, size))
    events.sort(key=lambda event: event[:2])
    live = _Shelf()
    begins = dict(offsets)
    for time, starts, block, size in events:
        if not starts:
            live.drop(begins[block.name])
            continue
        start = offsets[block.name]
        for old, distance in over[block.name] if starts == 2 else ():
            if old in solid and start + distance <= offsets[old] and 0 <= begins[old] < start + size:
                begins[old] = live.cut(begins[old], start + size)
        live.put(start, size, block, time)


class _Shelf:
    """The rectangles live at one time, sorted by address."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._items: list[tuple[int, Block]] = []

    def put(self, start: int, size: int, block: Block, time: int) -> None:
        index = self._index(start)
        if index < len(self._starts) and self._starts[index] < start + size:
            raise _overlap(block, start, size, *self._items[index], self._starts[index], time)
        if index and self._starts[index - 1] + self._items[index - 1][0] > start:
            raise _overlap(block, start, size, *self._items[index - 1], self._starts[index - 1], time)
        self._starts.insert(index, start)
        self._items.insert(index, (size, block))

    def drop(self, start: int) -> None:
        index = self._index(start)
        if index < len(self._starts) and self._starts[index] == start:
            del self._starts[index], self._items[index]

    def cut(self, start: int, end: int) -> int:
        """Take what lies below ``end`` from the rectangle at ``start``; return where the rest begins."""
        index = self._index(start)
        size, block = self._items[index]
        left = start + size - end
        if left > 0:
            self._starts[index], self._items[index] = end, (left, block)
            return end
        del self._starts[index], self._items[index]
        return -1

    def _index(self, start: int) -> int:
        return bisect_left(self._starts, start)


def _overlap(
    block: Block, start: int, size: int, other_size: int, other: Block, other_start: int, time: int
) -> BadProblem:
    return BadProblem(
        f"blocks {other.name!r} and {block.name!r}",
        f"overlap at op {time}: bytes {other_start}..{other_start + other_size} and {start}..{start + size}",
    )


def _too_high(problem: Problem, solution: Solution, height: int) -> OutOfSram:
    assert problem.capacity is not None
    top = max(problem.blocks, key=lambda b: solution.offsets[b.name] + b.bytes)
    time = top.lifetime.start
    there = ((solution.offsets[b.name], b.bytes_at(time), b) for b in problem.blocks if time in b.lifetime)
    live = sorted(there, key=lambda each: each[:2])  # blocks without bytes may share an offset
    return OutOfSram(
        capacity_bytes=problem.capacity,
        needed_bytes=height,
        largest_hole_bytes=_largest_hole(problem.capacity, [(start, size) for start, size, _ in live]),
        live=[LiveBlock(b.name, str(b.role), size) for _, size, b in live],
        where=f"op {time}",
    )


def _largest_hole(capacity: int, spans: list[tuple[int, int]]) -> int:
    """Return the largest free run below ``capacity`` between ``(start, size)`` spans in address order."""
    largest = end = 0
    for start, size in spans:
        largest = max(largest, min(start, capacity) - end)
        end = max(end, start + size)
    return max(largest, capacity - end)
