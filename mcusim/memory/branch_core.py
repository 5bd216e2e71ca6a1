"""Compiled depth-first search for a placement below a capacity.

A block lies on the ground or on another one; otherwise it could sink. Of all placements that fit, take one
whose offsets add up to the least. Written in the order of its offsets it has three properties, and the search
visits only what has them too: a block is placed as low as those before it allow (it *rests*), never lower
than the one before it (*order*; equal offsets by number), and never so high that another block still missing
would fit below it (*dominance*: that one could jump there). The ideas of canonical placements, of bounds a
section of time and of parts that fall apart are those of M. Moffitt, "MiniMalloc: A Lightweight Memory
Allocator for Hardware-Accelerated Machine Learning" (ASPLOS 2023).

Time is cut into sections between which no block is born, shrinks or dies. A state is a depth, the number of
blocks placed so far; everything that changes with the depth has a row a depth, so that going back is free.
"""

from __future__ import annotations

from typing import Any

from mcusim.core.jit import njit
from mcusim.memory.branch_state import RECENT, clear, fresh, height

IMPOSSIBLE, OPEN, FOUND = -1, 0, 1
"""Proven that no placement fits; given up at the limit of nodes; placed."""
FAR = 1 << 62


@njit(cache=True, nogil=True)
def branch(
    shapes: Any, sections: int, capacity: int, limit: int, blame: Any, offsets: Any
) -> tuple[int, int]:
    """Look for a placement of all blocks below ``capacity``.

    Args:
        shapes: the blocks, in the order in which equal choices are tried.
        sections: number of sections.
        capacity: bytes there are.
        limit: nodes after which to give up.
        blame: float64 [blocks], raised for the blocks of every section that could not be filled.
        offsets: int64 [blocks], filled in.

    Returns:
        ``IMPOSSIBLE``, ``OPEN`` or ``FOUND``, and the number of nodes visited.
    """
    count = len(shapes.start)
    state = fresh(shapes, sections)
    depth = nodes = 0
    arrived = True
    while True:
        if arrived:
            if depth == count:
                return FOUND, nodes
            nodes += 1
            if nodes > limit:
                return OPEN, nodes
            _enter(shapes, state, depth, capacity, blame)
        if state.tried[depth] < state.choosable[depth]:
            block = state.choices[depth, state.tried[depth]]
            offsets[block] = state.lowest[depth, block]
            _place(shapes, state, depth, block)
            depth += 1
            arrived = True
        else:
            to = state.back[depth] - 1
            if to < 0:
                return IMPOSSIBLE, nodes
            while depth > to:
                depth -= 1
                _lift(shapes, state, state.chosen[depth])
            arrived = False


@njit
def _enter(shapes: Any, state: Any, depth: int, capacity: int, blame: Any) -> None:
    """Find the part to fill, and the blocks that may come next; none if the state is a dead end."""
    state.tried[depth] = state.choosable[depth] = 0
    missing = _missing(shapes, state, depth)
    while missing == 0:
        _next_part(state, depth)
        missing = _missing(shapes, state, depth)
    lo, hi = state.lo[depth], state.hi[depth]
    _split(shapes, state, depth, missing)
    for section in state.recent:
        if lo <= section < hi and _overfull(shapes, state, depth, section, capacity, blame):
            return
    if _possible(shapes, state, depth, missing, lo, hi, capacity, blame):
        _choose(shapes, state, depth, missing, capacity)


@njit
def _missing(shapes: Any, state: Any, depth: int) -> int:
    """List in ``active`` the blocks of the part that are not placed, and return how many there are."""
    lo, hi = state.lo[depth], state.hi[depth]
    count = 0
    for block in range(len(shapes.start)):
        if not state.placed[block] and shapes.start[block] >= lo and shapes.end[block] <= hi:
            state.active[count] = block
            count += 1
    return count


@njit
def _next_part(state: Any, depth: int) -> None:
    """Go on with the next part of the innermost split that has one left, from the level of the split."""
    split, turn = state.split[depth], state.turn[depth] + 1
    while turn == state.parts[split]:
        split, turn = state.outer[split, 0], state.outer[split, 1] + 1
    state.split[depth], state.turn[depth] = split, turn
    row = state.first_part[split] + turn
    state.lo[depth], state.hi[depth] = state.bounds[row, 0], state.bounds[row, 1]
    state.level[depth], state.number[depth] = state.level[split], state.number[split]
    # What the parts before it look like has no influence: if this one fails, the split itself was wrong.
    state.back[depth] = state.back[split]


@njit
def _split(shapes: Any, state: Any, depth: int, missing: int) -> None:
    """Narrow the part to the sections that missing blocks hold together; go on with the first of several."""
    lo, hi = state.lo[depth], state.hi[depth]
    reach = state.bound
    for section in range(lo, hi):
        reach[section] = -1
    for k in range(missing):
        block = state.active[k]
        start = shapes.start[block]
        reach[start] = max(reach[start], shapes.end[block])
    row = first = state.used[depth]
    end = -1
    for section in range(lo, hi):
        if reach[section] < 0:
            continue
        if section >= end:
            state.bounds[row, 0] = section
            row += 1
        end = max(end, reach[section])
        state.bounds[row - 1, 1] = end
    if row - first > 1:
        state.outer[depth, 0], state.outer[depth, 1] = state.split[depth], state.turn[depth]
        state.first_part[depth], state.parts[depth] = first, row - first
        state.split[depth], state.turn[depth] = depth, 0
        state.used[depth] = row
    state.lo[depth], state.hi[depth] = state.bounds[first, 0], state.bounds[first, 1]


@njit
def _overfull(shapes: Any, state: Any, depth: int, section: int, capacity: int, blame: Any) -> bool:
    """Return true if one section alone, where others failed just now, shows that this state is a dead end."""
    level, least, count = state.level[depth], state.least, 0
    for k in range(shapes.member[section], shapes.member[section + 1]):
        block = shapes.members[k]
        if state.placed[block]:
            continue
        offset = max(state.lowest[depth, block], level)
        place = count
        while place and least[place - 1] < offset:
            least[place], state.order[place] = least[place - 1], state.order[place - 1]
            place -= 1
        least[place], state.order[place] = offset, block
        count += 1
    needed = 0
    for k in range(count):
        needed += height(shapes, state.order[k], section)
        if least[k] + needed > capacity:
            _blame(shapes, state, section, blame)
            return True
    return False


@njit
def _sort(state: Any, count: int) -> None:
    """Sort the missing blocks by the offset they can have, highest first: a Shell sort, quick to compile."""
    least, order = state.least, state.order
    for k in range(count):
        order[k] = k
    gap = count // 2
    while gap:
        for k in range(gap, count):
            moved = order[k]
            place = k
            while place >= gap and least[order[place - gap]] < least[moved]:
                order[place] = order[place - gap]
                place -= gap
            order[place] = moved
        gap = 1 if gap == 2 else gap * 5 // 11
    # The order of equals is free: it decides which dead end is noticed first, never whether one is.


@njit
def _blame(shapes: Any, state: Any, section: int, blame: Any) -> None:
    for k in range(shapes.member[section], shapes.member[section + 1]):
        if not state.placed[shapes.members[k]]:
            blame[shapes.members[k]] += 1


@njit
def _possible(
    shapes: Any, state: Any, depth: int, missing: int, lo: int, hi: int, capacity: int, blame: Any
) -> bool:
    """Bound every missing block from below, and every section; false if one of them cannot be filled."""
    level, number = state.level[depth], state.number[depth]
    ends, lowest, low, who = state.ends, state.lowest, state.low, state.who
    for section in range(lo, hi):
        ends[section, 0] = ends[section, 1] = FAR
        ends[section, 2] = who[section] = -1
        low[section] = FAR
    for k in range(missing):
        block = state.active[k]
        rests = lowest[depth, block]
        if rests + shapes.size[block] <= level:
            return False  # dominance: it would have fitted below the block placed last
        rests = max(rests, level)
        for section in range(shapes.start[block], shapes.end[block]):
            end = rests + height(shapes, block, section)
            if end < ends[section, 0]:
                ends[section, 1], ends[section, 0], ends[section, 2] = ends[section, 0], end, block
            elif end < ends[section, 1]:
                ends[section, 1] = end
    for k in range(missing):
        block = state.active[k]
        least = lowest[depth, block]
        if least < level or (least == level and block <= number):
            # It came too late to rest where it is: another one must come below it.
            least = FAR
            for section in range(shapes.start[block], shapes.end[block]):
                least = min(least, ends[section, 1 if ends[section, 2] == block else 0])
            least = max(least, level)
        if least + shapes.size[block] > capacity:
            blame[block] += 1
            return False
        state.least[k] = least
        for section in range(shapes.start[block], shapes.end[block]):
            if least < low[section]:
                low[section], who[section] = least, k
            elif least == low[section]:
                who[section] = -1
    last = -1
    for section in range(lo, hi):
        # A section without a byte to spare, and only one block that can lie at its bottom: it does.
        k = who[section]
        if k >= 0 and k != last and low[section] + state.remaining[section] == capacity:
            last = k
            block, offset = state.active[k], state.least[k]
            start, end, top = shapes.start[block], shapes.end[block], offset + shapes.size[block]
            for j in range(missing):
                other = state.active[j]
                if (
                    shapes.start[other] < end
                    and start < shapes.end[other]
                    and j != k
                    and offset - shapes.size[other] < state.least[j] < top
                ):
                    state.least[j] = offset + height(shapes, block, max(start, shapes.start[other]))
    # In every section, the blocks that lie at a height or above it need room above that height.
    needed = state.bound
    for section in range(lo, hi):
        needed[section] = 0
    _sort(state, missing)
    for k in state.order[:missing]:
        block = state.active[k]
        for section in range(shapes.start[block], shapes.end[block]):
            needed[section] += height(shapes, block, section)
            if state.least[k] + needed[section] > capacity:
                for older in range(RECENT - 1, 0, -1):
                    state.recent[older] = state.recent[older - 1]
                state.recent[0] = section
                _blame(shapes, state, section, blame)
                return False
    return True


@njit
def _choose(shapes: Any, state: Any, depth: int, missing: int, capacity: int) -> None:
    """List the blocks of the part that may come next, lowest first and then by number."""
    level, number, hi = state.level[depth], state.number[depth], state.hi[depth]
    lowest, choices = state.lowest, state.choices
    # Nothing that is missing lies lower than the block to come, in no section.
    fullest = 0
    for section in range(state.lo[depth], hi):
        fullest = max(fullest, state.remaining[section])
    ceiling = capacity + 1 - fullest
    for k in range(missing):
        block = state.active[k]
        if shapes.start[block] < hi:
            ceiling = min(ceiling, lowest[depth, block] + shapes.size[block])
    count = 0
    for k in range(missing):
        block = state.active[k]
        offset = lowest[depth, block]
        if shapes.start[block] >= hi or offset >= ceiling or offset < level:
            continue
        if offset == level and block <= number:
            continue
        if shapes.twin[block] >= 0 and not state.placed[shapes.twin[block]]:
            continue
        place = count
        while place and lowest[depth, choices[depth, place - 1]] > offset:
            choices[depth, place] = choices[depth, place - 1]
            place -= 1
        choices[depth, place] = block
        count += 1
    state.choosable[depth] = count


@njit
def _place(shapes: Any, state: Any, depth: int, block: int) -> None:
    """Put a block where it rests, and write the state of the next depth."""
    state.tried[depth] += 1
    start, end = shapes.start[block], shapes.end[block]
    offset = state.lowest[depth, block]
    state.placed[block] = 1
    state.chosen[depth] = block
    for section in range(start, end):
        state.remaining[section] -= height(shapes, block, section)
    carries = False
    for other in range(len(shapes.start)):
        rests = state.lowest[depth, other]
        first, last = max(start, shapes.start[other]), min(end, shapes.end[other])
        if first < last and not state.placed[other]:
            # A block never grows, so it is highest where the two first meet.
            top = offset + height(shapes, block, first)
            top = clear(shapes, other, top)
            if top > rests:
                rests, carries = top, True
        state.lowest[depth + 1, other] = rests
    if not carries:
        # Nothing rests on it, so the others fail with it elsewhere if they fail with it here.
        state.tried[depth] = state.choosable[depth]
    state.level[depth + 1], state.number[depth + 1] = offset, block
    state.lo[depth + 1], state.hi[depth + 1] = state.lo[depth], state.hi[depth]
    state.split[depth + 1], state.turn[depth + 1] = state.split[depth], state.turn[depth]
    state.used[depth + 1] = state.used[depth]
    state.back[depth + 1] = depth + 1


@njit
def _lift(shapes: Any, state: Any, block: int) -> None:
    state.placed[block] = 0
    for section in range(shapes.start[block], shapes.end[block]):
        state.remaining[section] += height(shapes, block, section)
