"""What a replay came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mcusim.sections.kinds import Facts, Section, Shares
from mcusim.sections.shown import Shown
from mcusim.traces.machine import Moment


@dataclass(frozen=True, slots=True)
class Replay(Shown):
    """What a replay came to. All sizes are bytes of SRAM.

    Attributes:
        method: ``recorded``, ``planner`` or ``allocator``.
        name: of the planner or allocator.
        sram_bytes: the capacity it was given, 0 if none.
        peak_bytes: highest address in use at any time, headers and padding included; of a buddy system,
            whose blocks lie all over its heap, the most it held.
        live_bytes: most bytes of blocks live at once; no placement needs less.
        overhead_bytes: headers and rounding of the allocator when most was live.
        moment: the first moment with the most live bytes.
        events: all events of the trace.
        steps: different steps that a planner had to lay out; 0 for the other methods.
    """

    method: str
    name: str
    sram_bytes: int
    peak_bytes: int
    live_bytes: int
    overhead_bytes: int
    moment: Moment
    events: int
    steps: int = 0

    @property
    def fragmentation_bytes(self) -> int:
        """Bytes of the peak that held no block when most was live."""
        return self.peak_bytes - self.live_bytes

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "method": self.method,
            "name": self.name,
            "fits": True,
            "sram_bytes": self.sram_bytes,
            "peak_bytes": self.peak_bytes,
            "live_bytes": self.live_bytes,
            "overhead_bytes": self.overhead_bytes,
            "fragmentation_bytes": self.fragmentation_bytes,
            "peak_row": self.moment.row,
            "peak_step": self.moment.step,
            "peak_op": self.moment.op,
            "by_role": self.moment.by_role,
            "events": self.events,
        }

    def sections(self) -> list[Section]:
        """Return what it came to, and what was live at the fullest moment."""
        of = f" of {self.sram_bytes:,} B" if self.sram_bytes else ""
        rows = (
            ("replayed", f"{self.method} {self.name}".strip() + f", {self.events:,} events"),
            ("peak", f"{self.peak_bytes:,} B{of}"),
            ("live", f"{self.live_bytes:,} B at {self.moment.where}"),
            ("overhead", f"{self.overhead_bytes:,} B of headers and rounding then"),
        )
        return [Facts(rows), Shares.of("live then", self.moment.by_role.items(), "live")]
