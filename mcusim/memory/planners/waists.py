"""Times at which little lives on: a problem falls apart there, once it is known where that little lies.

A search that fills memory from below works on all times at once: what it undoes first after a dead end is
hardly ever what was wrong. Where few bytes are live before and after the same time, blocks that cross it can
be placed beforehand, the longest-lived at the bottom; what lies between two such waists is then a problem of
its own, and small. What is placed beforehand can keep a placement from being found, never make one wrong.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import replace
from itertools import chain, pairwise
from random import Random

import numpy as np

from mcusim.core import Interval
from mcusim.memory.block import Block
from mcusim.memory.planners.branch_part import IMPOSSIBLE, OPEN, BranchPart, PartSearch
from mcusim.memory.planners.placing import Placing
from mcusim.memory.planners.search_limit import SearchLimit
from mcusim.memory.problem import Problem

WIDTHS = 0.25, 0.4
"""Of the capacity, the most bytes that cross a waist: first the narrow ones, then those not as narrow."""
INSIDE = 10
"""Blocks that live between two waists, at the least."""
ROUND = 2000
"""Nodes that a piece is searched for in the first round; twice as many in each that follows."""
NOISE = 0.5
"""Of the logarithm of the lives by which blocks that cross are sorted, where the order is not the first."""


def waists(part: BranchPart, capacity: int) -> list[list[int]]:
    """Return the sections at whose beginning the part is cut: for each of ``WIDTHS`` those that are new."""
    problem = part.problem
    if problem.gaps or problem.overlaps or any(block.shrinks for block in part.blocks):
        return []  # what is cut off a block must be as large as the block
    change = np.zeros(part.sections + 1, np.int64)
    np.add.at(change, part.start + 1, part.size)
    np.add.at(change, part.end, -part.size)
    crossing = np.cumsum(change)[1:-1]
    narrowest = (1 + np.argsort(crossing, kind="stable")).tolist()
    cuts = [0, part.sections]

    def inside(start: int, end: int) -> int:
        return int(np.count_nonzero((part.start >= start) & (part.end <= end)))

    found = []
    for width in WIDTHS:
        new = []
        for section in narrowest:
            if crossing[section - 1] > width * capacity:
                break
            after = bisect(cuts, section)
            if min(inside(cuts[after - 1], section), inside(section, cuts[after])) >= INSIDE:
                cuts.insert(after, section)
                new.append(section)
        found.append(new)
    return found if any(found) else []


class PiecewiseSearch:
    """Tries at a part between its waists, which can be interrupted and go on.

    Args:
        part: the blocks.
        cuts: its waists, in groups: what crosses one of an earlier group lies below what does not.
        capacity: bytes there are.
        seed: of all orders.
    """

    def __init__(self, part: BranchPart, cuts: list[list[int]], capacity: int, seed: int) -> None:
        self._part, self._capacity, self._seed = part, capacity, seed
        self._rng = Random(seed)
        times = [part.times[section] for section in sorted((0, *chain(*cuts), part.sections))]
        self._pieces = [Interval(start, end) for start, end in pairwise(times)]
        self._across: list[list[Block]] = [[] for _ in cuts]
        for block in part.blocks:
            for across, sections in zip(self._across, cuts, strict=True):
                if any(block.lifetime.start < part.times[cut] < block.lifetime.end for cut in sections):
                    across.append(block)
                    break
        self._open: list[PartSearch] = []
        self._found: dict[str, int] = {}
        self._share = ROUND
        self._noise = 0.0

    def go_on(self, budget: SearchLimit) -> dict[str, int] | int:
        """Return offsets below the capacity, or ``OPEN`` if the budget did not suffice."""
        while budget.left:
            if not self._open:
                budget.use(ROUND)  # what it takes to begin
                self._begin()
            if self._round(budget) and not self._open:
                return self._found
        return OPEN

    def _begin(self) -> None:
        """Place what crosses a waist; the pieces are to be searched around it, the smallest first."""
        across: list[Block] = []
        for blocks in self._across:
            lives = {b.name: len(b.lifetime) * self._rng.lognormvariate(0, self._noise) for b in blocks}
            across += sorted(blocks, key=lambda b: (-lives[b.name], -b.bytes))
        placing = Placing(Problem(tuple(across), align=self._part.problem.align))
        offsets = placing.place_all(range(len(across)))
        self._found = {b.name: offset for b, offset in zip(across, offsets, strict=True)}
        self._share, self._noise = ROUND, NOISE
        pieces = sorted((self._piece(life) for life in self._pieces), key=lambda part: len(part.blocks))
        self._open = [PartSearch(piece, self._capacity, self._seed) for piece in pieces]

    def _piece(self, life: Interval) -> BranchPart:
        """Return what lives between two waists; what crosses one has no offset but its own."""
        here = []
        for block in self._part.blocks:
            start, end = max(life.start, block.lifetime.start), min(life.end, block.lifetime.end)
            if start >= end:
                continue
            if (offset := self._found.get(block.name)) is not None:
                room = ((0, offset), (offset + block.bytes, self._capacity))
                barred = tuple((low, high) for low, high in room if low < high)
                block = replace(block, lifetime=Interval(start, end), barred=barred)
            here.append(block)
        return BranchPart(here, self._part.problem)

    def _round(self, budget: SearchLimit) -> bool:
        """Search every piece that is not solved for a while; false if one cannot be."""
        for search in tuple(self._open):
            if not (left := budget.left):
                break
            found = search.go_on(budget.share(min(self._share, left)))
            if found == IMPOSSIBLE:
                self._open = []
                return False
            if isinstance(found, dict):
                self._open.remove(search)
                self._found |= found
        self._share *= 2
        return True
