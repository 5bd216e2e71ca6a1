"""Blocks of a problem that are searched together, as arrays in sections of time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from mcusim.memory.block import Block
from mcusim.memory.planners.search_limit import SearchLimit
from mcusim.memory.problem import Problem

if TYPE_CHECKING:
    from mcusim.memory.branch_state import Ints, Shapes

MAX_BLOCKS = 3000
"""Most blocks of a part that is searched: two numbers a block and depth are kept, 144 MB at this size."""
RESTART = 1000
"""Nodes of the shortest tries; the others are multiples of it."""
NOISE = 0.02
"""How far a block strays from its place in an order, as a share of the length of the order."""
BLAME = 2.0
"""How far blame may bring a block forward, likewise."""
FORGET = 0.95
"""What is left of the blame of earlier tries with every new one."""

IMPOSSIBLE, OPEN = -1, 0
"""As in ``branch_core``, which is imported, and compiled, only when there is something to search."""


class BranchPart:
    """Blocks as arrays, in sections of time.

    Attributes:
        problem: of which the blocks are.
        blocks: in the order of the arrays, each with bytes.
        sections: of time, between which no block is born, shrinks or dies.
        times: at which they begin, and the end of the last.
        start, end: sections of each block's life, ``start <= s < end``.
        size: bytes of each at its birth.
    """

    def __init__(self, blocks: list[Block], problem: Problem) -> None:
        self.problem, self.blocks = problem, blocks
        self.times = sorted({t for b in blocks for life, _ in b.rectangles for t in (life.start, life.end)})
        at = {time: section for section, time in enumerate(self.times)}
        self.sections = len(self.times) - 1
        self.start = np.array([at[b.lifetime.start] for b in blocks])
        self.end = np.array([at[b.lifetime.end] for b in blocks])
        self.size = np.array([b.bytes for b in blocks])
        self._align = np.array([problem.align_of(b) for b in blocks])
        self._gaps = np.array(problem.gaps, np.int64)
        self._bars = [b.barred for b in blocks]
        self._heights = [
            np.concatenate([np.full(at[life.end] - at[life.start], size) for life, size in b.rectangles])
            for b in blocks
        ]

    @cached_property
    def orders(self) -> list[Ints]:
        """For each way to prefer blocks, the place of every block: by fullness, life, area, size."""
        live = np.zeros(self.sections, np.int64)
        for start, end, heights in zip(self.start, self.end, self._heights, strict=True):
            live[start:end] += heights
        full = np.array([live[a:b].max() for a, b in zip(self.start, self.end, strict=True)])
        life, area, size = self.end - self.start, np.array([h.sum() for h in self._heights]), self.size
        ways = ((full, life, area), (life, area, full), (full, area, life), (full, size, life), (size, life))
        places = []
        for way in ways:
            place = np.empty(len(full), np.int64)
            place[np.lexsort([-key for key in reversed(way)])] = np.arange(len(full))
            places.append(place)
        return places

    def shapes(self, order: Ints) -> Shapes:
        """Return the blocks as the compiled search takes them, in the order of preference."""
        from mcusim.memory.branch_state import Shapes

        heights = [self._heights[block] for block in order]
        first = np.cumsum([0, *(len(h) for h in heights[:-1])])
        twin = np.full(len(order), -1)
        seen: dict[tuple[Any, ...], int] = {}
        for number, block in enumerate(order):
            key = (
                self.start[block], self.end[block], self._align[block], self._bars[block],
                self._heights[block].tobytes(),
            )  # fmt: skip
            twin[number] = seen.get(key, -1)
            seen[key] = number
        start, end = self.start[order], self.end[order]
        there = [np.flatnonzero((start <= section) & (section < end)) for section in range(self.sections)]
        return Shapes(
            start, end, self.size[order], self._align[order], np.concatenate(heights),
            first, twin, np.concatenate(there), np.cumsum([0, *(len(blocks) for blocks in there)]),
            self._gaps, np.cumsum([0, *(len(self._bars[block]) for block in order)]),
            np.array([bar for block in order for bar in self._bars[block]], np.int64).reshape(-1, 2),
        )  # fmt: skip


class PartSearch:
    """Tries at one part, which can be interrupted and go on.

    Args:
        part: the blocks.
        capacity: bytes there are.
        seed: of the orders of preference.
    """

    def __init__(self, part: BranchPart, capacity: int, seed: int) -> None:
        self._part, self._capacity = part, capacity
        self._rng = np.random.default_rng(seed)
        self._blame = np.zeros(len(part.blocks))
        self._tries = enumerate(_lengths(len(part.orders)))

    def go_on(self, budget: SearchLimit) -> dict[str, int] | int:
        """Return offsets below the capacity, ``IMPOSSIBLE``, or ``OPEN`` if the budget did not suffice."""
        from mcusim.memory.branch_core import FOUND, branch

        part, blocks = self._part, len(self._part.blocks)
        while budget.left:
            turn, tries = next(self._tries)
            place = part.orders[turn % len(part.orders)].astype(float)
            if turn >= len(part.orders):
                place += self._rng.normal(0, NOISE * blocks, blocks)
                blame = self._blame / max(self._blame.max(), 1.0)
                place -= blame * blocks * self._rng.uniform(0, BLAME)
            order = np.argsort(place, kind="stable")
            fresh, offsets = np.zeros(blocks), np.zeros(blocks, np.int64)
            limit = min(RESTART * tries, budget.left)
            status, nodes = branch(part.shapes(order), part.sections, self._capacity, limit, fresh, offsets)
            budget.use(nodes)
            self._blame *= FORGET
            self._blame[order] += fresh
            if status == FOUND:
                return {part.blocks[block].name: int(at) for block, at in zip(order, offsets, strict=True)}
            if status == IMPOSSIBLE:
                return IMPOSSIBLE
        return OPEN


def _lengths(repeat: int) -> Iterator[int]:
    """Yield 1 1 2 1 1 2 4 1 1 2 1 1 2 4 8 …, each number ``repeat`` times."""
    for turn in count(1):
        # The first number of the form 2**k - 1 that turn is, once what came before is taken off.
        while turn & (turn + 1):
            turn -= (1 << (turn.bit_length() - 1)) - 1
        yield from (((turn + 1) >> 1,) * repeat)
