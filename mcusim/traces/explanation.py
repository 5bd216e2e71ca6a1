"""Why a step needs the SRAM it needs: when, in which op, which tensors of which role, how much is holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcusim.core.errors import LiveBlock
from mcusim.events import Header
from mcusim.memory.bound import lower_bound
from mcusim.memory.problem import Problem, Solution
from mcusim.sections.kinds import Facts, Headline, Notes, Part, Section, Shares
from mcusim.sections.shown import Shown
from mcusim.traces.source import Source, Traced

SHOWN = 4
"""Tensors listed for each role; the rest is summed up."""


@dataclass(frozen=True, slots=True)
class Explanation(Shown):
    """Why a step needs the SRAM it needs. All sizes are exact counts of bytes.

    Attributes:
        title: what is explained.
        capacity_bytes: the SRAM there is; 0 if not known.
        peak_bytes: highest address in use, holes included.
        lower_bound_bytes: what no placement can beat.
        op, phase: the op during which most bytes are live.
        live: the blocks live then, largest first; blocks without bytes are left out.
        planner: where the offsets come from.
        suggestions: what would lower the peak, from really planning it; one line each.
    """

    title: str
    capacity_bytes: int
    peak_bytes: int
    lower_bound_bytes: int
    op: str
    phase: str
    live: Sequence[LiveBlock]
    planner: str = ""
    suggestions: Sequence[object] = ()

    def __post_init__(self) -> None:
        live = sorted((b for b in self.live if b.bytes), key=lambda b: (-b.bytes, b.name))
        object.__setattr__(self, "live", tuple(live))
        object.__setattr__(self, "suggestions", tuple(map(str, self.suggestions)))

    @property
    def live_bytes(self) -> int:
        """Bytes live at the fullest moment."""
        return sum(block.bytes for block in self.live)

    @property
    def fragmentation_bytes(self) -> int:
        """Bytes of the peak in which nothing lies at the fullest moment."""
        return self.peak_bytes - self.live_bytes

    @property
    def missing_bytes(self) -> int:
        """Bytes by which it does not fit; 0 if it does."""
        return max(self.peak_bytes - self.capacity_bytes, 0) if self.capacity_bytes else 0

    @property
    def by_role(self) -> dict[str, int]:
        """Bytes of each role at the fullest moment, largest first; they sum to the live bytes."""
        totals: dict[str, int] = {}
        for block in self.live:
            totals[block.role] = totals.get(block.role, 0) + block.bytes
        return dict(sorted(totals.items(), key=lambda item: -item[1]))

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "title": self.title,
            "capacity_bytes": self.capacity_bytes,
            "fits": not self.missing_bytes,
            "missing_bytes": self.missing_bytes,
            "peak_bytes": self.peak_bytes,
            "live_bytes": self.live_bytes,
            "lower_bound_bytes": self.lower_bound_bytes,
            "fragmentation_bytes": self.fragmentation_bytes,
            "peak_op": self.op,
            "peak_phase": self.phase,
            "by_role": self.by_role,
            "live": [{"tensor": b.name, "role": b.role, "bytes": b.bytes} for b in self.live],
            "planner": self.planner,
            "suggestions": list(map(str, self.suggestions)),
        }

    def sections(self) -> list[Section]:
        """Return the verdict, the sizes, the tensors of each role, and what would lower the peak."""
        found: list[Section] = [self._headline(), Facts(self._facts()), self._roles()]
        if self.suggestions:
            found.append(Notes([str(line) for line in self.suggestions], "what would lower it"))
        return found

    def _headline(self) -> Headline:
        if self.missing_bytes:
            return Headline(
                self.title,
                f"does not fit {self.capacity_bytes:,} B: {self.missing_bytes:,} B are missing",
                good=False,
            )
        if not self.capacity_bytes:
            return Headline(self.title)
        share = self.peak_bytes / self.capacity_bytes
        return Headline(self.title, f"fits, {share:.1%} of {self.capacity_bytes:,} B", good=True)

    def _facts(self) -> list[tuple[str, str]]:
        during = f"{self.op} ({self.phase})" if self.op else "no op"
        share = self.fragmentation_bytes / self.peak_bytes if self.peak_bytes else 0.0
        by = f", placed by {self.planner}" if self.planner else ""
        return [
            ("peak", f"{self.peak_bytes:,} B"),
            ("live", f"{self.live_bytes:,} B during {during}"),
            ("lower bound", f"{self.lower_bound_bytes:,} B; no placement needs less"),
            ("holes", f"{self.fragmentation_bytes:,} B, {share:.1%} of the peak{by}"),
        ]

    def _roles(self) -> Shares:
        parts = []
        for role, size in self.by_role.items():
            blocks = [block for block in self.live if block.role == role]
            items = [(block.name, block.bytes) for block in blocks[:SHOWN] if block.name != role]
            if rest := blocks[SHOWN:]:
                items.append((f"in {len(rest)} more", sum(b.bytes for b in rest)))
            parts.append(Part(role, size, tuple(items)))
        return Shares("live then", parts, "live")


def explain_trace(traced: Traced, *, suggestions: Sequence[object] = ()) -> Explanation:
    """Explain the peak of a trace, with the offsets it was recorded with.

    Raises:
        BadTrace: a damaged trace or events that contradict each other.
    """
    from mcusim.traces.replay import replay

    header = Source(traced).header
    result = replay(traced)
    return Explanation(
        title=title_of(header),
        capacity_bytes=header.sram_bytes,
        peak_bytes=result.peak_bytes,
        lower_bound_bytes=result.live_bytes,
        op=result.moment.op,
        phase=result.moment.phase,
        live=result.moment.live,
        planner=header.planner,
        suggestions=suggestions,
    )


def explain_placement(
    problem: Problem,
    solution: Solution,
    ops: Sequence[tuple[str, str]] = (),
    *,
    title: str = "placement",
    suggestions: Sequence[object] = (),
) -> Explanation:
    """Explain a solved placement problem; ``ops`` are names and phases, by time."""
    bound = lower_bound(problem)
    shared = {
        pair.old.name: pair.shared(solution.offsets[pair.old.name], solution.offsets[pair.new.name])
        for pair in problem.pairs
        if pair.time == bound.time
    }
    live = [
        LiveBlock(b.name, str(b.role), b.bytes_at(bound.time) - shared.get(b.name, 0)) for b in problem.blocks
    ]
    op, phase = ops[bound.time] if 0 <= bound.time < len(ops) else (f"time {bound.time}", "")
    return Explanation(
        title=title,
        capacity_bytes=problem.capacity or 0,
        peak_bytes=solution.height,
        lower_bound_bytes=solution.lower_bound,
        op=op,
        phase=phase,
        live=live,
        planner=solution.winner or solution.planner,
        suggestions=suggestions,
    )


def title_of(header: Header) -> str:
    """Return where a trace comes from in a few words."""
    place = " on ".join(word for word in (header.model, header.board) if word)
    return ", ".join(word for word in (place, header.scheme) if word) or "trace"
