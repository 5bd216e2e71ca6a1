"""What SRAM costs beyond the one cycle a profile counts: wait states of its regions, missed cache lines.

The arena is laid over the regions of a board in the order of its file: the first region holds offset 0.
That is the order of addresses on the parts shipped; where regions are not neighbours, no buffer lies across.

* In a region that no cache covers, each bus word that is read or written waits ``wait_states`` cycles.
* In a region behind the data cache, each line that is read and not cached waits ``wait_states`` once: the
  word asked for comes first and the core goes on while the rest of the line arrives; stores do not wait,
  they leave through the store buffer, and runs of full lines are not fetched first (Arm DDI 0489F, 5.9
  and 5.9.1). Each line is missed once an op, however often it is loaded: the least a cold cache misses.
  Nothing is missed of a buffer that the op before touched, if all that both ops touch fits in the cache.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from mcusim.mcu.board import Board, SramRegion

BUS_BYTES = 4
"""Of one load or store: 32 bits, the data bus of Cortex-M0+, M4 and M33 and a register of any of them."""


class Access(NamedTuple):
    """What one op reads and writes of a run of ``bytes`` at ``offset``, in distinct bytes.

    A run that is touched in part is taken as touched evenly: channels of a tensor lie spread over it.
    A tuple, because a plan makes thousands of them.
    """

    offset: int
    bytes: int
    read: int
    written: int


@dataclass(frozen=True, slots=True)
class RegionUse:
    """What a sequence of ops does in one region."""

    region: SramRegion
    read_bytes: int
    written_bytes: int
    waits: int
    """Bus words moved, or lines missed where a cache covers the region."""

    @property
    def stall_cycles(self) -> int | None:
        """Cycles the core waits; ``None`` if the region's wait states are unknown and anything waits."""
        if not self.waits:
            return 0
        return None if self.region.wait_states is None else self.waits * self.region.wait_states

    def as_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "region": self.region.name, "cached": self.region.cached, "read_bytes": self.read_bytes,
            "written_bytes": self.written_bytes, "waits": self.waits,
            "wait_states": self.region.wait_states, "stall_cycles": self.stall_cycles,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class SramStalls:
    """Cycles each op waits for SRAM, and what happens in each region; unknown wait states count as 0."""

    regions: tuple[int, ...]
    """By op: wait states of regions without a cache."""
    misses: tuple[int, ...]
    """By op: wait states of missed lines."""
    uses: tuple[RegionUse, ...]


def split(access: Access, ends: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield (index of the region, bytes read there, bytes written there).

    The parts add up to the whole. What lies beyond the last region counts to it.

    Args:
        access: what is touched.
        ends: where in the arena each region ends, ascending.
    """
    offset, size, read, written = access
    last = len(ends) - 1
    index = min(bisect_right(ends, offset), last)
    if index == last or offset + size <= ends[index]:
        yield index, read, written
        return
    low = 0
    while low < size:
        high = size if index == last else min(size, ends[index] - offset)
        yield (
            index,
            read * high // size - read * low // size,
            written * high // size - written * low // size,
        )
        low, index = high, index + 1


def sram_stalls(ops: Iterable[Sequence[Access]], board: Board) -> SramStalls:
    """Return what the ops of a sequence wait for SRAM.

    Args:
        ops: the accesses of each op, in execution order.
        board: where the regions and the cache are.
    """
    line, capacity = board.cache.line_bytes or 1, board.cache.data_bytes
    ends = list(accumulate(region.bytes for region in board.sram))
    waits_of = [region.wait_states or 0 for region in board.sram]
    totals = [[0, 0, 0] for _ in board.sram]
    stalls: list[int] = []
    misses: list[int] = []
    before: set[int] = set()
    footprint_before = 0
    for accesses in ops:
        footprint = sum(access.bytes for access in accesses)
        warm = before if footprint + footprint_before <= capacity else ()
        stall = miss = 0
        for access in accesses:
            for index, read, written in split(access, ends):
                if not board.sram[index].cached:
                    waits = -(-read // BUS_BYTES) + -(-written // BUS_BYTES)
                    stall += waits * waits_of[index]
                else:
                    waits = 0 if access.offset in warm else -(-read // line)
                    miss += waits * waits_of[index]
                total = totals[index]
                total[0] += read
                total[1] += written
                total[2] += waits
        stalls.append(stall)
        misses.append(miss)
        before, footprint_before = {access.offset for access in accesses}, footprint
    uses = (RegionUse(region, *total) for region, total in zip(board.sram, totals, strict=True))
    return SramStalls(tuple(stalls), tuple(misses), tuple(uses))
