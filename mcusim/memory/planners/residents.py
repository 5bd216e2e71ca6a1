"""Blocks that live as long as the whole problem: they need no search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcusim.memory.block import Block
from mcusim.memory.problem import Problem


@dataclass(frozen=True, slots=True)
class Stacked:
    """A problem in two parts that can be stacked.

    A block that is live all the time meets every other one, so it cuts memory in two, and what lies
    below it may as well lie above: with all of these at the bottom no height is lost.

    Attributes:
        residents: name → offset of the blocks that live from the first birth to the last death.
        base: the first byte above them, a multiple of every alignment in ``rest``.
        rest: the other blocks, to be placed from ``base`` on.
    """

    residents: Mapping[str, int]
    base: int
    rest: Problem


def stacked(problem: Problem) -> Stacked:
    """Return the residents of ``problem`` packed at the bottom, the most aligned first, and the rest.

    Where memory has gaps the residents stay below the first, and that no height is lost is no longer certain.
    """
    solid = [b for b in problem.blocks if b.bytes]
    birth = min((b.lifetime.start for b in solid), default=0)
    death = max((b.lifetime.end for b in solid), default=0)
    sharing = {name for overlap in problem.overlaps for name in (overlap.old, overlap.new)}
    stay = [
        b for b in solid
        if not (b.shrinks or b.barred)
        and (b.lifetime.start, b.lifetime.end) == (birth, death)
        and b.name not in sharing
    ]  # fmt: skip
    offsets, end = {}, 0
    for block in sorted(stay, key=problem.align_of, reverse=True):
        offset = _aligned(end, problem, block)
        if problem.gaps and offset + block.bytes > problem.gaps[0]:
            continue
        offsets[block.name], end = offset, offset + block.bytes
    rest = tuple(b for b in problem.blocks if b.name not in offsets)
    base = max((_aligned(end, problem, b) for b in rest), default=end)
    return Stacked(offsets, base, problem.above(base, rest))


def _aligned(offset: int, problem: Problem, block: Block) -> int:
    align = problem.align_of(block)
    return -(-offset // align) * align
