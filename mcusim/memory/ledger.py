"""The account of SRAM: what is live, what it is for, and when it was most."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import BadTrace, LiveBlock, Role


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One live block in the ledger. ``overhead`` are bytes it costs beside its own."""

    name: str
    role: Role
    bytes: int
    offset: int
    overhead: int = 0


@dataclass(frozen=True, slots=True)
class Peak:
    """The first moment with the most live bytes.

    ``event`` counts ledger events from 0; ``where`` is the caller's word for it, an op as a rule.
    """

    live_bytes: int
    event: int
    where: str
    by_role: dict[Role, int]
    live: tuple[LiveBlock, ...]


class Ledger:
    """Follows alloc and free events and keeps the sums.

    Attributes:
        capacity: bytes there are.
        live_bytes: bytes of all live blocks; the sum over ``by_role``.
        overhead_bytes: headers, rounding and padding of the live blocks, and ``fixed_overhead``.
        top_bytes: the highest end address any block had so far, overhead included.
        by_role: live bytes of each role; roles that never had any are missing.
    """

    def __init__(self, capacity: int, *, fixed_overhead: int = 0) -> None:
        self.capacity = capacity
        self.live_bytes = 0
        self.overhead_bytes = fixed_overhead
        self.top_bytes = fixed_overhead
        self.by_role: dict[Role, int] = {}
        self._fixed = fixed_overhead
        self._entries: dict[str, LedgerEntry] = {}
        self._events = 0
        self._peak_bytes = 0
        self._peak: tuple[int, str, tuple[LedgerEntry, ...]] = (0, "", ())

    def alloc(
        self, name: str, role: Role, size: int, *, offset: int = 0, overhead: int = 0, where: str = ""
    ) -> None:
        """Record that a block is born.

        Raises:
            BadTrace: if the name is live already, a number is negative, or more is in use than there is.
        """
        if name in self._entries:
            raise BadTrace(f"block {name!r}", "is allocated while it is live", self._at(where))
        if size < 0 or offset < 0 or overhead < 0:
            raise BadTrace(f"block {name!r}", "has a negative size or offset", self._at(where))
        if self.live_bytes + self.overhead_bytes + size + overhead > self.capacity:
            raise BadTrace(
                f"block {name!r}", f"brings more into use than {self.capacity:,} bytes", self._at(where)
            )
        self._entries[name] = LedgerEntry(name, role, size, offset, overhead)
        self.live_bytes += size
        self.overhead_bytes += overhead
        self.by_role[role] = self.by_role.get(role, 0) + size
        self.top_bytes = max(self.top_bytes, offset + size)
        if self.live_bytes > self._peak_bytes:
            self._peak_bytes = self.live_bytes
            self._peak = (self._events, where, tuple(self._entries.values()))
        self._events += 1

    def free(self, name: str, *, where: str = "") -> LedgerEntry:
        """Record that a block dies, and return its entry.

        Raises:
            BadTrace: if it is not live.
        """
        entry = self._entries.pop(name, None)
        if entry is None:
            raise BadTrace(f"block {name!r}", "is freed and not live", self._at(where))
        self.live_bytes -= entry.bytes
        self.overhead_bytes -= entry.overhead
        self.by_role[entry.role] -= entry.bytes
        self._events += 1
        return entry

    def shrink(self, name: str, size: int, *, where: str = "") -> None:
        """Record that a block from now on occupies its first ``size`` bytes only.

        Raises:
            BadTrace: if it is not live or would grow.
        """
        entry = self._entries.get(name)
        if entry is None or not 0 <= size <= entry.bytes:
            reason = (
                "shrinks and is not live" if entry is None else f"grows from {entry.bytes} to {size} bytes"
            )
            raise BadTrace(f"block {name!r}", reason, self._at(where))
        self._entries[name] = LedgerEntry(name, entry.role, size, entry.offset, entry.overhead)
        self.live_bytes -= entry.bytes - size
        self.by_role[entry.role] -= entry.bytes - size
        self._events += 1

    @property
    def free_bytes(self) -> int:
        """Bytes that are neither live nor overhead."""
        return self.capacity - self.live_bytes - self.overhead_bytes

    @property
    def live(self) -> tuple[LedgerEntry, ...]:
        """The live blocks, oldest first."""
        return tuple(self._entries.values())

    @property
    def peak(self) -> Peak:
        """The first moment with the most live bytes."""
        event, where, entries = self._peak
        by_role: dict[Role, int] = {}
        for entry in entries:
            by_role[entry.role] = by_role.get(entry.role, 0) + entry.bytes
        ordered = {role: by_role[role] for role in Role if by_role.get(role)}
        live = tuple(LiveBlock(e.name, str(e.role), e.bytes) for e in entries)
        return Peak(self._peak_bytes, event, where, ordered, live)

    def check(self) -> None:
        """Add everything up again from the single entries.

        Raises:
            BadTrace: if live + free + overhead is not the capacity, or the roles do not sum to live.
        """
        live = sum(entry.bytes for entry in self._entries.values())
        overhead = self._fixed + sum(entry.overhead for entry in self._entries.values())
        if (live, overhead) != (self.live_bytes, self.overhead_bytes):
            raise BadTrace("ledger", f"says {self.live_bytes} bytes are live, and {live} are")
        if sum(self.by_role.values()) != live:
            raise BadTrace("ledger", f"roles sum to {sum(self.by_role.values())} bytes, and {live} are live")
        if live + self.free_bytes + overhead != self.capacity or self.free_bytes < 0:
            raise BadTrace("ledger", f"accounts for more than {self.capacity} bytes")

    def _at(self, where: str) -> str:
        return f"event {self._events}" + (f", {where}" if where else "")
