"""What no placement can beat: the bytes that are live at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcusim.core import Role
from mcusim.memory.block import Block
from mcusim.memory.overlap import OverlapPair
from mcusim.memory.problem import Problem

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bound:
    """A proven lower bound on the height of every placement.

    Attributes:
        bytes: the bound; alignment gaps that cannot be avoided included.
        time: the first op at which it is reached.
        padded_bytes: the bound if the topmost block were rounded up too; less than one alignment
            above ``bytes``. A placement this low is not worth another search.
        live_bytes: bytes live at ``time``, without alignment gaps; what can be shared counts once.
    """

    bytes: int
    time: int
    live_bytes: int
    padded_bytes: int


@dataclass(frozen=True, slots=True)
class LiveBytes:
    """A step function of time: ``bytes[i]`` holds for ``times[i] <= t < times[i + 1]``.

    The last value is 0. ``times`` and ``bytes`` are int64 arrays of equal length.
    """

    times: Int64Array
    bytes: Int64Array

    def at(self, time: int) -> int:
        """Return the value at op ``time``; 0 outside the profile."""
        index = int(np.searchsorted(self.times, time, side="right")) - 1
        return int(self.bytes[index]) if index >= 0 else 0

    def dense(self, start: int, end: int) -> Int64Array:
        """Return the value at every op of ``start <= t < end``, an array of ``end - start``."""
        index = np.searchsorted(self.times, np.arange(start, end), side="right") - 1
        if not len(self.bytes):
            return np.zeros(end - start, np.int64)
        return np.where(index >= 0, self.bytes[index], 0)


def live_over_time(
    blocks: tuple[Block, ...] | list[Block], *, pad_to: int = 1, pairs: Sequence[OverlapPair] = ()
) -> LiveBytes:
    """Return the bytes live at every time, each block rounded up to a multiple of ``pad_to``.

    Of ``pairs`` the bytes that both can share count once.
    """
    rows = [
        (rectangle.start, rectangle.end, -(-size // pad_to) * pad_to)
        for block in blocks
        for rectangle, size in block.rectangles
    ]
    rows += [(time, time + 1, -_shared(among, pad_to, pad_to)) for time, among in _by_time(pairs).items()]
    if not rows:
        return LiveBytes(np.zeros(0, np.int64), np.zeros(0, np.int64))
    starts, ends, sizes = np.array(rows, np.int64).T
    times, where = np.unique(np.concatenate([starts, ends]), return_inverse=True)
    steps = np.zeros(len(times), np.int64)
    np.add.at(steps, where, np.concatenate([sizes, -sizes]))
    return LiveBytes(times, np.cumsum(steps))


def _by_time(pairs: Sequence[OverlapPair]) -> dict[int, list[OverlapPair]]:
    found: dict[int, list[OverlapPair]] = {}
    for pair in pairs:
        found.setdefault(pair.time, []).append(pair)
    return found


def _shared(pairs: list[OverlapPair], align: int, pad_to: int = 1) -> int:
    """Return the most bytes that pairs of one time can share, of blocks rounded up to ``pad_to``.

    What an old block shares with one new block it does not share with another, and the other way round: the
    largest flow from the old blocks to the new ones.
    """
    room: dict[tuple[str, str], int] = {}
    for pair in pairs:
        low = -(-pair.distance // align) * align
        old, new = (-(-size // pad_to) * pad_to for size in (pair.left, pair.new.bytes))
        room["", pair.old.name], room[pair.new.name, ""] = old, new
        room[pair.old.name, pair.new.name] = max(min(old, new - low), 0)
    return room[pairs[0].old.name, pairs[0].new.name] if len(pairs) == 1 else _largest_flow(room)


def _largest_flow(room: dict[tuple[str, str], int]) -> int:
    """Return the largest flow from "" back to "" along edges with room (Ford and Fulkerson, 1956)."""
    left, total = dict(room), 0
    while True:
        paths: dict[str, list[tuple[str, str]]] = {"": []}
        nodes = [""]
        for node in nodes:
            for edge, free in left.items():
                if free and edge[0] == node and (not edge[1] or edge[1] not in paths):
                    paths[edge[1]] = [*(paths[node] if node else []), edge]
                    nodes += [edge[1]] if edge[1] else []
        if not paths[""]:
            return total
        amount = min(left[edge] for edge in paths[""])
        total += amount
        for start, end in paths[""]:
            left[start, end] -= amount
            if start and end:  # what flows back
                left[end, start] = left.get((end, start), 0) + amount


def live_by_role(blocks: tuple[Block, ...] | list[Block], time: int) -> dict[Role, int]:
    """Return the live bytes of each role at op ``time``, roles without bytes left out."""
    totals: dict[Role, int] = {}
    for block in blocks:
        size = block.bytes_at(time)
        if size:
            totals[block.role] = totals.get(block.role, 0) + size
    return {role: totals[role] for role in Role if role in totals}


def lower_bound(problem: Problem) -> Bound:
    """Return the liveness lower bound of ``problem``.

    At any time the live blocks lie above each other. Each but the topmost is followed by an
    aligned offset, so it takes its size rounded up to the common alignment; the topmost saves
    at most the largest rounding among the blocks live then. Of blocks that may overlap, the most they
    can share is taken off: whatever lies where, no more bytes lie in two of them.
    """
    profile = live_over_time(problem.blocks, pad_to=problem.align, pairs=problem.pairs)
    if not len(profile.times):
        return Bound(0, 0, 0, 0)
    heights = profile.bytes
    if problem.align > 1:
        heights = heights - _largest_rounding(problem, profile.times)
    index = int(np.argmax(heights))
    time = int(profile.times[index])
    live = sum(b.bytes_at(time) for b in problem.blocks)
    live -= sum(_shared(some, problem.align) for at, some in _by_time(problem.pairs).items() if at == time)
    return Bound(int(heights[index]), time, live, int(profile.bytes.max()))


def _largest_rounding(problem: Problem, times: Int64Array) -> Int64Array:
    """Return, for each interval of ``times``, the largest rounding of a block live in it."""
    largest = np.zeros(len(times), np.int64)
    for block in problem.blocks:
        for rectangle, size in block.rectangles:
            rounding = -size % problem.align
            if rounding:
                first, last = np.searchsorted(times, (rectangle.start, rectangle.end))
                np.maximum(largest[first:last], rounding, out=largest[first:last])
    return largest
