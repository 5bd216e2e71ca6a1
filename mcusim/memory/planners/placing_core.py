"""The innermost loops of placing, in the Python that numba compiles: on lists of int, or int64 arrays.

Short searches run them as they are, so that a plan need not load a compiler; long ones compile them.
"""

from __future__ import annotations

from typing import Any

Row = Any
"""A list of int, or an array of int64."""


def place(  # type: ignore[no-untyped-def]
    order, first, limit, offsets, row, count, sizes, aligns, births, deaths, shrinks_at, steps, times,
    smaller, licences, olds, distances, bars, bar_starts, bar_ends, gaps,
):  # fmt: skip
    """Place ``order[first:]`` one after the other at the lowest offset each can have.

    Args:
        order: block indices.
        first: turn to begin at.
        limit: stop as soon as a block ends above this height.
        offsets: of the blocks placed; those of ``order[first:]`` are set.
        row: indices of the ``count`` blocks placed that have bytes, sorted by offset; room for all.
        count: see ``row``.
        sizes, aligns, births, deaths: one entry a block.
        shrinks_at: when each block first shrinks.
        steps: where the shrinks of each block start in ``times`` and ``smaller``; one entry more than blocks.
        times, smaller: when blocks shrink, and the bytes that are left then.
        licences: where the overlaps of each block over others start in ``olds`` and ``distances``; one entry
            more than blocks.
        olds, distances: the block that may be overlapped, and how far below it the other one has to begin.
        bars: where the offsets barred to each block start in ``bar_starts`` and ``bar_ends``; one entry more
            than blocks.
        bar_starts, bar_ends: the first of such offsets, and the first after them.
        gaps: offsets that no block may lie across.

    Returns:
        The height of the blocks placed, and the first turn that was not taken.
    """
    height = 0
    for turn in range(first, len(order)):
        i = order[turn]
        size, align, birth, death = sizes[i], aligns[i], births[i], deaths[i]
        at, again = 0, size > 0
        while again:
            again = passed = False
            for k in range(count):
                j = row[k]
                low = offsets[j]
                if low - size >= at:
                    break
                if births[j] >= death or deaths[j] <= birth:
                    continue
                # The lower of two blocks needs below the other what it still has when both have been born.
                mine, theirs = size, sizes[j]
                if births[j] >= shrinks_at[i]:
                    for s in range(steps[i], steps[i + 1]):
                        if times[s] <= births[j]:
                            mine = smaller[s]
                elif birth >= shrinks_at[j]:
                    for s in range(steps[j], steps[j + 1]):
                        if times[s] <= birth:
                            theirs = smaller[s]
                for s in range(licences[i], licences[i + 1]):
                    if olds[s] == j:
                        mine = distances[s]
                for s in range(licences[j], licences[j + 1]):
                    if olds[s] == i:
                        theirs = distances[s]
                if low - mine >= at:
                    passed = True  # no conflict here, but perhaps further up
                elif low + theirs > at:
                    at = -(-(low + theirs) // align) * align
                    again = again or passed
            for k in range(len(gaps)):
                if gaps[k] - size < at < gaps[k]:
                    at = -(-gaps[k] // align) * align
                    again = True
            for s in range(bars[i], bars[i + 1]):
                if bar_starts[s] - size < at < bar_ends[s]:
                    at = -(-bar_ends[s] // align) * align
                    again = True
        offsets[i] = at
        if size == 0:
            continue
        k = count
        while k > 0 and offsets[row[k - 1]] > at:
            row[k] = row[k - 1]
            k -= 1
        row[k] = i
        count += 1
        if at + size > height:
            height = at + size
            if height > limit:
                return height, turn + 1
    return height, len(order)


def supports(  # type: ignore[no-untyped-def]
    turns, height, offsets, todo, seen, sizes, aligns, births, deaths, shrinks_at, steps, times, smaller,
    licences, olds, distances, bars, bar_starts, bar_ends,
):  # fmt: skip
    """Set ``seen`` of the blocks that end at ``height`` and of all that hold them up, placed earlier.

    Args:
        turns: the turn at which each block was placed.
        height: of the placement.
        offsets: of all blocks.
        todo: room for as many indices as there are blocks.
        seen: zeros, one a block.
        sizes, aligns, births, deaths, shrinks_at, steps, times, smaller: see ``place``.
        licences, olds, distances, bars, bar_starts, bar_ends: see ``place``.
    """
    count = 0
    for i in range(len(sizes)):
        if offsets[i] + sizes[i] == height:
            todo[count] = i
            seen[i] = 1
            count += 1
    while count > 0:
        count -= 1
        i = todo[count]
        if sizes[i] == 0:
            continue
        for j in range(len(sizes)):
            if seen[j] or sizes[j] == 0 or turns[j] >= turns[i] or offsets[j] >= offsets[i]:
                continue
            if births[j] >= deaths[i] or deaths[j] <= births[i]:
                continue
            theirs = sizes[j]
            if births[i] >= shrinks_at[j]:
                for s in range(steps[j], steps[j + 1]):
                    if times[s] <= births[i]:
                        theirs = smaller[s]
            for s in range(licences[j], licences[j + 1]):
                if olds[s] == i:
                    theirs = distances[s]
            if offsets[j] + theirs + aligns[i] > offsets[i]:
                seen[j] = 1
                todo[count] = j
                count += 1
