"""What the compiled branch and bound knows: the blocks, and the state of the search."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mcusim.core.jit import njit

RECENT = 8
"""Sections remembered for being full."""

Ints = npt.NDArray[np.int64]


class Shapes(NamedTuple):
    """Blocks in the order of their preference. All arrays are int64, one entry a block except ``heights``.

    Attributes:
        start, end: sections of the block's life, ``start <= s < end``.
        size, align: bytes at birth, and the power of two that divides its offset.
        heights: bytes of every block in each of its sections, one block after the other.
        first: where in ``heights`` a block begins.
        twin: the block before it of the same shape, or -1: of equals the first goes lower.
        members, member: the blocks of a section are ``members[member[s]:member[s + 1]]``.
        gaps: offsets, ascending, that no block lies across: it rests on the next one instead.
        bar, bars: a block has none of the offsets ``bars[bar[b]:bar[b + 1]]``, each a first one and an end.
    """

    start: Ints
    end: Ints
    size: Ints
    align: Ints
    heights: Ints
    first: Ints
    twin: Ints
    members: Ints
    member: Ints
    gaps: Ints
    bar: Ints
    bars: Ints


class SearchState(NamedTuple):
    """What the search knows; ``[depth]`` or ``[depth, …]`` unless said otherwise."""

    lowest: Ints
    """[depth, block]: where the block would rest on those placed."""
    level: Ints
    """Offset of the block placed last in this part: the next ones lie no lower."""
    number: Ints
    """Its number: at the same offset only later ones follow."""
    lo: Ints
    hi: Ints
    """Sections of the part being filled, ``lo <= s < hi``."""
    split: Ints
    """Depth at which that part was split off, or -1."""
    turn: Ints
    """Which of the parts of that split it is."""
    outer: Ints
    """[depth of a split, 2]: split and turn of the part that was split."""
    first_part: Ints
    parts: Ints
    """Where in ``bounds`` the parts of a split at this depth begin, and how many there are."""
    used: Ints
    """Rows of ``bounds`` in use."""
    bounds: Ints
    """[row, 2]: sections of a part."""
    back: Ints
    """Where to go on when every choice failed: the decision at ``back - 1`` is at fault."""
    chosen: Ints
    choices: Ints
    """[depth, k]: blocks to try, lowest first."""
    choosable: Ints
    tried: Ints
    """How many choices there are, and how many were tried."""
    remaining: Ints
    """[section]: bytes of the blocks not yet placed."""
    placed: Ints
    """[block]: 1 if placed."""
    active: Ints
    """[k]: blocks of the part that are not yet placed; rewritten at every node."""
    bound: Ints
    """[section]: reach of the blocks that begin there, then bytes needed there; rewritten at every node."""
    recent: Ints
    """[RECENT]: sections that showed last that a state is a dead end: they are looked at first."""
    order: Ints
    """[k]: the k of those blocks, highest first, or blocks of one section; rewritten at every node."""
    least: Ints
    """[k]: lowest offset that the block ``active[k]`` can still have; rewritten at every node."""
    low: Ints
    who: Ints
    """[section]: lowest of these offsets, and k of the only block that has it, or -1; likewise."""
    ends: Ints
    """[section, 3]: the two lowest ends of missing blocks, and whose the first is; likewise."""


@njit
def fresh(shapes: Any, sections: int) -> Any:
    """Return the state in which nothing is placed."""
    count = len(shapes.start)
    ints = np.int64
    remaining = np.zeros(sections, ints)
    for block in range(count):
        for section in range(shapes.start[block], shapes.end[block]):
            remaining[section] += height(shapes, block, section)
    lowest = np.zeros((count + 1, count), ints)
    for block in range(count):
        lowest[0, block] = clear(shapes, block, 0)
    return SearchState(
        lowest, np.zeros(count + 1, ints), np.full(count + 1, -1, ints),
        np.zeros(count + 1, ints), np.full(count + 1, sections, ints), np.full(count + 1, -1, ints),
        np.zeros(count + 1, ints), np.full((count + 1, 2), -1, ints), np.zeros(count + 1, ints),
        np.zeros(count + 1, ints), np.zeros(count + 1, ints), np.zeros((2 * count + 2, 2), ints),
        np.zeros(count + 1, ints), np.zeros(count + 1, ints), np.zeros((count + 1, count), ints),
        np.zeros(count + 1, ints), np.zeros(count + 1, ints), remaining, np.zeros(count, ints),
        np.zeros(count, ints), np.zeros(sections + 1, ints), np.zeros(RECENT, ints), np.zeros(count, ints),
        np.zeros(count, ints), np.zeros(sections, ints), np.zeros(sections, ints),
        np.zeros((sections, 3), ints),
    )  # fmt: skip


@njit
def clear(shapes: Any, block: int, offset: int) -> int:
    """Return the lowest aligned offset from ``offset`` on where a block crosses no gap and is not barred."""
    align = shapes.align[block]
    offset = (offset + align - 1) & -align
    size, again = shapes.size[block], True
    while again:
        again = False
        for gap in shapes.gaps:
            if offset < gap < offset + size:
                offset = (gap + align - 1) & -align
        for k in range(shapes.bar[block], shapes.bar[block + 1]):
            if shapes.bars[k, 0] - size < offset < shapes.bars[k, 1]:
                offset = (shapes.bars[k, 1] + align - 1) & -align
                again = True
    return offset


@njit
def height(shapes: Any, block: int, section: int) -> int:
    """Return the bytes of a block in a section of its life."""
    return shapes.heights[shapes.first[block] + section - shapes.start[block]]  # type: ignore[no-any-return]
