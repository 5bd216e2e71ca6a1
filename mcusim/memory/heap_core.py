"""Compiled heaps: first fit, best fit and TLSF over arrays. The slow twin is ``allocators.Heap``.

All blocks of the heap, free and used, are rows of ``nodes``: a doubly linked list by address,
and through the free ones a second list, in address order or one a TLSF class.
"""

from __future__ import annotations

from typing import Any

from mcusim.core.jit import njit

FIRST_FIT, BEST_FIT, TLSF = 0, 1, 2
ALLOC, FREE, SHRINK = 0, 1, 2
DONE, FULL, BAD_ALLOC, BAD_FREE, BAD_SHRINK = 0, 1, 2, 3, 4
COLUMNS = 8
START, END, BEFORE, AFTER, IS_FREE, PREVIOUS, NEXT, LIST = range(COLUMNS)
NONE = -1


@njit(cache=True)
def _log2(value: int) -> int:
    # Unrolled: this runs several times an event.
    result = 0
    if value >> 32:
        value >>= 32
        result = 32
    if value >> 16:
        value >>= 16
        result += 16
    if value >> 8:
        value >>= 8
        result += 8
    if value >> 4:
        value >>= 4
        result += 4
    if value >> 2:
        value >>= 2
        result += 2
    return result + (value >> 1)


@njit(cache=True)
def _class(length: int, align: int) -> int:
    log2, small = _log2(length), _log2(align) + 5
    if log2 < small:
        return int(length // align)
    return int(((log2 - small + 1) << 5) + (length >> (log2 - 5)) - 32)


@njit(cache=True)
def _link(policy: int, nodes: Any, heads: Any, bits: Any, node: int, align: int) -> None:
    """Put a free node into its list: first in its class, or in address order."""
    key, previous, following = 0, NONE, NONE
    if policy == TLSF:
        key = _class(nodes[node, END] - nodes[node, START], align)
        following = heads[key]
        bits[key >> 5] |= 1 << (key & 31)
        bits[-1] |= 1 << (key >> 5)
    else:
        following = heads[0]
        while following != NONE and nodes[following, START] < nodes[node, START]:
            previous, following = following, nodes[following, NEXT]
    nodes[node, IS_FREE], nodes[node, LIST] = 1, key
    nodes[node, PREVIOUS], nodes[node, NEXT] = previous, following
    if previous == NONE:
        heads[key] = node
    else:
        nodes[previous, NEXT] = node
    if following != NONE:
        nodes[following, PREVIOUS] = node


@njit(cache=True)
def _unlink(policy: int, nodes: Any, heads: Any, bits: Any, node: int) -> None:
    previous, following = nodes[node, PREVIOUS], nodes[node, NEXT]
    nodes[node, IS_FREE] = 0
    if following != NONE:
        nodes[following, PREVIOUS] = previous
    if previous != NONE:
        nodes[previous, NEXT] = following
        return
    key = nodes[node, LIST]
    heads[key] = following
    if policy == TLSF and following == NONE:
        bits[key >> 5] &= ~(1 << (key & 31))
        if bits[key >> 5] == 0:
            bits[-1] &= ~(1 << (key >> 5))


@njit(cache=True)
def _find(policy: int, nodes: Any, heads: Any, bits: Any, gross: int, align: int) -> int:
    """Return the free node that the policy chooses for ``gross`` bytes, or ``NONE``."""
    if policy == TLSF:
        log2 = _log2(gross)
        if log2 >= _log2(align) + 5:
            gross = ((gross - 1 >> (log2 - 5)) + 1) << (log2 - 5)
        key = _class(gross, align)
        row = key >> 5
        if row >= len(bits) - 1:
            return NONE
        columns = bits[row] >> (key & 31) << (key & 31)
        if columns == 0:
            rows = bits[-1] >> (row + 1) << (row + 1)
            if rows == 0:
                return NONE
            row = _log2(rows & -rows)
            columns = bits[row]
        found: int = heads[(row << 5) + _log2(columns & -columns)]
        return found
    node, best, best_length = heads[0], NONE, 0
    while node != NONE:
        length = nodes[node, END] - nodes[node, START]
        if length >= gross:
            if policy == FIRST_FIT:
                return int(node)
            if best == NONE or length < best_length:
                best, best_length = node, length
        node = nodes[node, NEXT]
    return best


@njit(cache=True)
def _insert(nodes: Any, node: int, before: int, after: int, start: int, end: int) -> None:
    """Put ``node`` between two neighbours by address."""
    nodes[node, START], nodes[node, END] = start, end
    nodes[node, BEFORE], nodes[node, AFTER], nodes[node, IS_FREE] = before, after, 0
    if before != NONE:
        nodes[before, AFTER] = node
    if after != NONE:
        nodes[after, BEFORE] = node


@njit(cache=True)
def _drop(nodes: Any, node: int) -> None:
    before, after = nodes[node, BEFORE], nodes[node, AFTER]
    if before != NONE:
        nodes[before, AFTER] = after
    if after != NONE:
        nodes[after, BEFORE] = before


@njit(cache=True)
def run(
    policy: int,
    kinds: Any,
    blocks: Any,
    sizes: Any,
    header: int,
    align: int,
    min_block: int,
    nodes: Any,
    spare: Any,
    heads: Any,
    bits: Any,
    node_of: Any,
    live_of: Any,
    offsets: Any,
) -> tuple[int, int, int, int, int, int]:
    """Play all events, from one free node 0 that is the whole heap (or none, if it is empty).

    Args:
        policy: ``FIRST_FIT``, ``BEST_FIT`` or ``TLSF``.
        kinds: int8 (events,).
        blocks: int32 (events,), index of the block.
        sizes: int64 (events,), payload bytes of allocs and shrinks.
        header: header bytes.
        align: alignment of payloads.
        min_block: shortest block.
        nodes: int64 (2 * most live + 3, COLUMNS), node 0 set by the caller, not linked.
        spare: int64, all node numbers but 0, taken from the end.
        heads: int64, first free node of each list, ``NONE`` at first.
        bits: int64, column bitmaps, then the row bitmap; 0 at first.
        node_of: int64 (blocks,), ``NONE`` at first.
        live_of: int64 (blocks,), payload bytes.
        offsets: int64 (events,), filled with the offset of each event's block.

    Returns:
        Status, index of the event that failed, highest address used, most payload bytes live,
        the first event with them, and the bytes all blocks took then.
    """
    top = live = taken = peak_event = peak_taken = 0
    peak = -1
    spares = len(spare)
    if nodes[0, END] > nodes[0, START]:
        _link(policy, nodes, heads, bits, 0, align)
    for index in range(len(kinds)):
        block, size, kind = blocks[index], sizes[index], kinds[index]
        node = node_of[block]
        if kind == ALLOC:
            if node != NONE:
                return BAD_ALLOC, index, top, peak, peak_event, peak_taken
            gross = max(min_block, (size + header + align - 1) & -align)
            hole = _find(policy, nodes, heads, bits, gross, align)
            if hole == NONE:
                return FULL, index, top, peak, peak_event, peak_taken
            start = nodes[hole, START]
            end = start + gross
            if nodes[hole, END] - end < min_block:
                end = nodes[hole, END]
                _unlink(policy, nodes, heads, bits, hole)
                node = hole
            else:
                spares -= 1
                node = spare[spares]
                if policy == TLSF:
                    _unlink(policy, nodes, heads, bits, hole)
                nodes[hole, START] = end
                _insert(nodes, node, nodes[hole, BEFORE], hole, start, end)
                if policy == TLSF:
                    _link(policy, nodes, heads, bits, hole, align)
            node_of[block], live_of[block], offsets[index] = node, size, start + header
            live += size
            taken += end - start
            top = max(top, end)
            if live > peak:
                peak, peak_event, peak_taken = live, index, taken
            continue
        if node == NONE:
            return BAD_FREE if kind == FREE else BAD_SHRINK, index, top, peak, peak_event, peak_taken
        start, end, after = nodes[node, START], nodes[node, END], nodes[node, AFTER]
        offsets[index] = start + header
        if kind == SHRINK:
            if size > live_of[block]:
                return BAD_SHRINK, index, top, peak, peak_event, peak_taken
            live -= live_of[block] - size
            live_of[block] = size
            cut = start + max(min_block, (size + header + align - 1) & -align)
            after_is_free = after != NONE and nodes[after, IS_FREE] == 1
            if cut < end and (after_is_free or end - cut >= min_block):
                nodes[node, END] = cut
                taken -= end - cut
                if after_is_free:
                    if policy == TLSF:
                        _unlink(policy, nodes, heads, bits, after)
                    nodes[after, START] = cut
                    if policy == TLSF:
                        _link(policy, nodes, heads, bits, after, align)
                else:
                    spares -= 1
                    rest = spare[spares]
                    _insert(nodes, rest, node, after, cut, end)
                    _link(policy, nodes, heads, bits, rest, align)
            continue
        node_of[block] = NONE
        live -= live_of[block]
        taken -= end - start
        before = nodes[node, BEFORE]
        if after != NONE and nodes[after, IS_FREE] == 1:
            _unlink(policy, nodes, heads, bits, after)
            nodes[node, END] = nodes[after, END]
            _drop(nodes, after)
            spare[spares] = after
            spares += 1
        if before != NONE and nodes[before, IS_FREE] == 1:
            if policy == TLSF:
                _unlink(policy, nodes, heads, bits, before)
            nodes[before, END] = nodes[node, END]
            _drop(nodes, node)
            spare[spares] = node
            spares += 1
            if policy == TLSF:
                _link(policy, nodes, heads, bits, before, align)
        else:
            _link(policy, nodes, heads, bits, node, align)
    return DONE, 0, top, peak, peak_event, peak_taken
