"""Which sectors hold what is rewritten: whole ones, of the sizes there are, and constants in what is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mcusim.core import Interval
from mcusim.mcu.board import FlashMemory
from mcusim.mcu.flash.flash import sectors

ALIGNMENT = 4
"""Of every constant."""


def run_from(flash: FlashMemory, first: int, size: int) -> tuple[Interval, int] | None:
    """Return the shortest run of equal sectors from the one of this number on that holds so many bytes.

    Returns:
        The run, and the number of the sector behind it; ``None`` if there is no such run.
    """
    units = list(sectors(flash))[first:]
    for index, (unit, kind) in enumerate(units):
        if kind.bytes != units[0][1].bytes:
            return None
        if unit.end - units[0][0].start >= size:
            return Interval(units[0][0].start, unit.end), first + index + 1
    return None


def choices(flash: FlashMemory, copy_bytes: int, replay_bytes: int) -> Iterator[tuple[Interval, ...]]:
    """Yield every choice of places: two copies that follow each other, then examples, of what there is.

    Each place is a run of equal sectors, no longer than it has to be.
    """
    count = sum(kind.count for kind in flash.sectors)
    pairs: list[tuple[Interval, ...]] = [()]
    if copy_bytes:
        found = []
        for start in range(count):
            a = run_from(flash, start, copy_bytes)
            b = None if a is None else run_from(flash, a[1], copy_bytes)
            if a is not None and b is not None:
                found.append((a[0], b[0]))
        pairs = list(found)
    runs: list[tuple[Interval, ...]] = [()]
    if replay_bytes:
        # The ring of examples is made for sectors like the last one (see ``ring``).
        alike = count - flash.sectors[-1].count
        each = (run_from(flash, start, replay_bytes) for start in range(alike, count))
        runs = [(run[0],) for run in each if run is not None]
    for pair in pairs:
        for run in runs:
            if not any(place.overlaps(run[0]) for place in pair if run):
                yield pair + run


def fill(flash: FlashMemory, taken: Sequence[Interval], sizes: Sequence[int]) -> list[int] | None:
    """Return an offset for every constant in the flash that is left, the first at 0.

    In order, each into the first run that has room; if that is not enough, the largest first.

    Returns:
        Offsets in the order of ``sizes``; ``None`` if they do not fit so.
    """
    edges = [0, *(edge for place in sorted(taken) for edge in (place.start, place.end)), flash.bytes]
    free = [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]
    in_order = range(len(sizes))
    for order in (in_order, [*in_order[:1], *sorted(in_order[1:], key=lambda i: -sizes[i])]):
        offsets, ends = [0] * len(sizes), [start for start, _ in free]
        for index in order:
            for run, (_, top) in enumerate(free):
                at = -(-ends[run] // ALIGNMENT) * ALIGNMENT
                if at + sizes[index] <= top:
                    offsets[index], ends[run] = at, at + sizes[index]
                    break
            else:
                break
        else:
            if not sizes or offsets[0] == 0:
                return offsets
    return None


def placed(
    flash: FlashMemory, sizes: Sequence[int], copy_bytes: int, replay_bytes: int
) -> tuple[list[int], tuple[Interval, ...]] | None:
    """Return where constants, both copies and examples go: the best of all choices there are.

    The best erases the fewest bytes for the larger copy, which is what writing back costs, then the fewest in
    all; then what ends first, copies as late as may be.

    Returns:
        Offsets of the constants, and the places of the copies and of the examples; ``None`` if nothing fits.
    """
    best: tuple[tuple[int, ...], list[int], tuple[Interval, ...]] | None = None
    for places in choices(flash, copy_bytes, replay_bytes):
        offsets = fill(flash, places, sizes)
        if offsets is None:
            continue
        ends = [*(o + s for o, s in zip(offsets, sizes, strict=True)), *(place.end for place in places)]
        copies = [len(place) for place in places[: 2 if copy_bytes else 0]]
        key = (
            max(copies, default=0),
            sum(map(len, places)),
            max(ends, default=0),
            -sum(p.start for p in places),
        )
        if best is None or key < best[0]:
            best = (key, offsets, places)
    return None if best is None else best[1:]


def behind(
    flash: FlashMemory, sizes: Sequence[int], copy_bytes: int, replay_bytes: int
) -> tuple[list[int], tuple[Interval, ...]]:
    """Return constants one after the other, then copies and examples on sectors like the last one.

    Where all sectors are alike nothing ends lower. It may end above the flash there is.
    """
    offsets, end = [], 0
    for size in sizes:
        end = -(-end // ALIGNMENT) * ALIGNMENT
        offsets.append(end)
        end += size
    unit, places = flash.sectors[-1].bytes, []
    for size in filter(None, (copy_bytes, copy_bytes, replay_bytes)):
        start = -(-end // unit) * unit
        end = start + -(-size // unit) * unit
        places.append(Interval(start, end))
    return offsets, tuple(places)
