"""A problem served by a dynamic allocator: blocks come and go in time order, as on a heap at run time."""

from __future__ import annotations

from mcusim.core import OutOfSram
from mcusim.memory.allocators import ALLOCATORS
from mcusim.memory.allocators.heap import Heap
from mcusim.memory.block import Block
from mcusim.memory.bound import lower_bound
from mcusim.memory.problem import Problem, Solution, judge

LARGEST = 2**30
"""A heap is grown up to this size to find out how much a problem would have needed."""


def serve(problem: Problem, allocator: str) -> Solution:
    """Return where an allocator puts every block of a problem.

    At each time blocks are freed first, then shrunk, then allocated in the order of the problem. The
    height is the highest address in use, headers and rounding included. If the capacity is too small,
    the placement is the one in the smallest heap, doubled from the capacity, that holds everything.

    Raises:
        UnknownName: for an unknown allocator.
        OutOfSram: if not even a gigabyte is enough.
    """
    bound = lower_bound(problem).bytes
    capacity = problem.capacity or max(4096, 2 * bound)
    make = ALLOCATORS[allocator]
    while True:
        heap = make(capacity)
        try:
            offsets = _play(problem, heap)
        except OutOfSram:
            if capacity >= LARGEST:
                raise
            capacity *= 2
            continue
        height = heap.top_bytes
        return Solution(offsets, height, allocator, judge(problem, height, bound), bound, winner=allocator)


def _play(problem: Problem, heap: Heap) -> dict[str, int]:
    events: dict[int, tuple[list[Block], list[tuple[Block, int]], list[Block]]] = {}
    for block in problem.blocks:
        events.setdefault(block.lifetime.start, ([], [], []))[2].append(block)
        events.setdefault(block.lifetime.end, ([], [], []))[0].append(block)
        for time, size in block.shrinks:
            events.setdefault(time, ([], [], []))[1].append((block, size))
    offsets: dict[str, int] = {}
    for time in sorted(events):
        dying, shrinking, born = events[time]
        for block in reversed(dying):
            heap.free(offsets[block.name])
        for block, size in shrinking:
            heap.shrink(offsets[block.name], size)
        for block in born:
            offsets[block.name] = heap.alloc(
                block.bytes, problem.align_of(block), name=block.name, role=block.role, where=f"op {time}"
            )
    return offsets
