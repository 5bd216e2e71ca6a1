"""A block: some bytes that must lie at one place for a while."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import BadProblem, Interval, Role

MAX_BYTES = 2**62
"""Sizes, times and their sums stay below this, so that 64-bit arithmetic never wraps."""


@dataclass(frozen=True, slots=True)
class Block:
    """One tensor or buffer that wants a place in memory.

    Attributes:
        name: unique within a problem.
        bytes: size when the block is born. 0 is allowed and needs no place.
        lifetime: op indices ``start <= t < end`` during which the block is live; never empty.
        role: what the bytes are for.
        align: its offset is a multiple of this power of two.
        shrinks: ``((t, smaller_bytes), ...)``: from op ``t`` on the block only occupies its first
            ``smaller_bytes`` bytes. Times rise strictly inside the lifetime, sizes fall strictly.
            An in-place stride-2 depthwise convolution leaves a quarter of its input like this.
        barred: ``((first, end), ...)``, ascending: offsets that no byte of the block may have, as of memory
            that a DMA controller does not reach.

    Raises:
        BadProblem: if any of these rules is broken.
    """

    name: str
    bytes: int
    lifetime: Interval
    role: Role = Role.ACTIVATION
    align: int = 1
    shrinks: tuple[tuple[int, int], ...] = ()
    barred: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.bytes < MAX_BYTES:
            raise self._bad(f"has {self.bytes} bytes", f"a size is at least 0 and below {MAX_BYTES}")
        start, end = self.lifetime.start, self.lifetime.end
        if start == end:
            raise self._bad(f"is never live: its lifetime is {start}..{end}", "give it at least one op")
        if not -MAX_BYTES < start < end < MAX_BYTES:
            raise self._bad(f"lives {start}..{end}", f"times stay within ±{MAX_BYTES}")
        if self.align < 1 or self.align & (self.align - 1):
            raise self._bad(f"wants alignment {self.align}", "use a power of two")
        time, size = start, self.bytes
        for at, smaller in self.shrinks:
            if not time < at < end:
                raise self._bad(f"shrinks at {at}", f"times rise strictly within its lifetime {start}..{end}")
            if not 0 < smaller < size:
                raise self._bad(
                    f"shrinks from {size} to {smaller} bytes", "sizes fall strictly and stay above 0"
                )
            time, size = at, smaller
        edge = 0
        for low, high in self.barred:
            if not edge <= low < high < MAX_BYTES:
                raise self._bad(f"is barred from {low}..{high}", "bars ascend, each with a byte at least")
            edge = high

    def _bad(self, reason: str, way_out: str) -> BadProblem:
        return BadProblem(f"block {self.name!r}", reason, way_out)

    @property
    def rectangles(self) -> tuple[tuple[Interval, int], ...]:
        """The block in time and space: ``((interval, bytes), ...)``, in time order, without gaps."""
        if not self.shrinks:
            return ((self.lifetime, self.bytes),)
        times = (self.lifetime.start, *(t for t, _ in self.shrinks), self.lifetime.end)
        sizes = (self.bytes, *(b for _, b in self.shrinks))
        return tuple((Interval(a, b), s) for a, b, s in zip(times, times[1:], sizes, strict=False))

    def bytes_at(self, time: int) -> int:
        """Return the bytes the block occupies at op ``time``: 0 when it is not live."""
        if time not in self.lifetime:
            return 0
        size = self.bytes
        for at, smaller in self.shrinks:
            if at > time:
                break
            size = smaller
        return size
