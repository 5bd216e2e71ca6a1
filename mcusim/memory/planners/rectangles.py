"""Blocks that fill a rectangle of time and bytes are as good as one block.

In a problem without a byte to spare, blocks that follow each other without a gap and reach equally high
hardly do so by chance: they were one block that was cut in time. So stacks of blocks with one life are looked
for that are as high as a stack of blocks whose life begins where theirs ends, what is least likely by chance
first; both become one block, and so on. Where one stack is left in the end, it says where all of them lie.
What is joined can keep a placement from being found, never make one wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from heapq import heappop, heappush
from itertools import combinations, takewhile
from math import comb
from random import Random
from time import monotonic

from mcusim.memory.block import Block
from mcusim.memory.planners.orders import by_size
from mcusim.memory.planners.placing import Placing
from mcusim.memory.planners.registry import PLANNERS
from mcusim.memory.problem import Problem, Solution

TURNS = 100
"""Orders that are tried."""
NOISE = 1.0
"""Of the logarithm of how likely a match is by chance, where the order is not the first."""
TRIES = 500
"""Pairs of stacks of two lives that are compared, at the most."""
Life = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class JoinedBlock:
    """A block by its name, or stacks side by side, each as high as all of them."""

    bytes: int
    name: str = ""
    stacks: tuple[tuple[JoinedBlock, ...], ...] = ()

    def offsets(self, base: int) -> Iterator[tuple[str, int]]:
        """Yield the name of every block in it and its offset, the lowest at ``base``."""
        pending = [(self, base)]  # as deep as there are blocks in a row, so no call in a call
        while pending:
            block, at = pending.pop()
            if block.name:
                yield block.name, at
            for stack in block.stacks:
                above = at
                for piece in stack:
                    pending.append((piece, above))
                    above += piece.bytes


Match = tuple[tuple[JoinedBlock, ...], tuple[JoinedBlock, ...]]


@PLANNERS.register("rectangles")
def rectangles(
    problem: Problem, /, *, seed: int = 0, effort: int | None = None, time_limit_s: float | None = None
) -> Solution:
    """Put blocks together until they fill the bytes; by size where that cannot be, or is not found.

    Args:
        problem: what is to be solved.
        seed: of the orders in which blocks are joined.
        effort: orders that are tried; ``TURNS`` by default.
        time_limit_s: seconds after which no other order is tried.
    """
    placing = Placing(problem)
    offsets = filled(problem, seed=seed, turns=TURNS if effort is None else effort, seconds=time_limit_s)
    if offsets is None:
        offsets, winner = placing.place_all(by_size(problem)), "greedy_by_size"
    else:
        winner = "rectangles"
    return placing.solution("rectangles", offsets, winner=winner)


def filled(
    problem: Problem, *, seed: int = 0, turns: int = TURNS, seconds: float | None = None
) -> list[int] | None:
    """Return an offset for every block such that no byte is left free at any time, or ``None``.

    ``None`` too where that cannot be: if the live bytes are not the same all the time, or more is asked than
    that blocks lie apart. What meets by chance is joined as well, so several orders are tried.
    """
    blocks = [b for b in problem.blocks if b.bytes]
    start = min((b.lifetime.start for b in blocks), default=0)
    whole = start, max((b.lifetime.end for b in blocks), default=0)
    if not blocks or not _plain(problem) or not _steady(blocks, whole):
        return None
    end = None if seconds is None else monotonic() + seconds
    for turn in range(turns):
        rows: dict[Life, list[JoinedBlock]] = {}
        for block in blocks:
            row = rows.setdefault((block.lifetime.start, block.lifetime.end), [])
            row.append(JoinedBlock(block.bytes, block.name))
        _join(rows, Random(f"{seed} {turn}"), NOISE if turn else 0.0)
        if [life for life, row in rows.items() if row] == [whole]:
            places = dict(JoinedBlock(0, stacks=(tuple(rows[whole]),)).offsets(0))
            return [places.get(b.name, 0) for b in problem.blocks]
        if end is not None and monotonic() >= end:
            break
    return None


def _steady(blocks: list[Block], whole: Life) -> bool:
    """True if as many bytes are live at all times."""
    changes: Counter[int] = Counter()
    for block in blocks:
        changes[block.lifetime.start] += block.bytes
        changes[block.lifetime.end] -= block.bytes
    return not any(change for time, change in changes.items() if time not in whole)


def _plain(problem: Problem) -> bool:
    """True if nothing is asked but that blocks lie apart."""
    if problem.gaps or problem.overlaps:
        return False
    return not any(b.shrinks or b.barred or b.bytes % problem.align_of(b) for b in problem.blocks)


def _join(rows: dict[Life, list[JoinedBlock]], rng: Random, noise: float) -> None:
    """Join what meets in time at the same height until nothing does, what is least likely by chance first."""
    ending: dict[int, set[Life]] = {}
    starting: dict[int, set[Life]] = {}
    for life in rows:
        starting.setdefault(life[0], set()).add(life)
        ending.setdefault(life[1], set()).add(life)
    turns = dict.fromkeys(rows, 0)
    agenda: list[tuple[float, Life, Life, int, int, Match]] = []

    def look(old: Life, new: Life) -> None:
        found = _alike(rows[old], rows[new])
        if found is not None:
            heappush(
                agenda, (found[0] * rng.lognormvariate(0, noise), old, new, turns[old], turns[new], found[1])
            )

    for old in rows:
        for new in starting.get(old[1], ()):
            look(old, new)
    while agenda:
        _, old, new, *seen, stacks = heappop(agenda)
        if seen != [turns[old], turns[new]]:
            continue
        joined = (old[0], new[1])
        for life, stack in zip((old, new), stacks, strict=True):
            for piece in stack:
                rows[life].remove(piece)
        rows.setdefault(joined, []).append(
            JoinedBlock(sum(piece.bytes for piece in stacks[0]), stacks=stacks)
        )
        starting[joined[0]].add(joined)
        ending[joined[1]].add(joined)
        changed = (old, new, joined)
        for life in changed:
            turns[life] = turns.get(life, 0) + 1
        pairs = {(life, other) for life in changed for other in starting.get(life[1], ())}
        pairs |= {(other, life) for life in changed for other in ending.get(life[0], ())}
        for pair in pairs:
            look(*pair)


@cache
def _few(count: int) -> tuple[int, ...]:
    """Return how many of so many blocks a stack may have, such that there are few such stacks."""
    low = list(takewhile(lambda size: comb(count, size) <= TRIES, range(1, count + 1)))
    high = takewhile(lambda size: comb(count, size) <= TRIES, range(count, len(low), -1))
    return (*low, *reversed([*high]))


def _alike(old: list[JoinedBlock], new: list[JoinedBlock]) -> tuple[float, Match] | None:
    """Return two stacks equally high, those of which chance makes the fewest, and how many that is."""
    best: tuple[float, Match] | None = None
    for more in _few(len(new)):
        heights = {sum(piece.bytes for piece in stack): stack for stack in combinations(new, more)}
        for many in _few(len(old)):
            tries = comb(len(old), many) * comb(len(new), more)
            if tries > TRIES:
                continue
            for stack in combinations(old, many):
                height = sum(piece.bytes for piece in stack)
                if height in heights and (best is None or tries / height < best[0]):
                    best = tries / height, (stack, heights[height])
    return best
