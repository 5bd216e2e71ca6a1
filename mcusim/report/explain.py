"""What the peak is made of: when, in which op, which tensors of which role, and how much is holes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mcusim.core.errors import LiveBlock
from mcusim.memory.bound import lower_bound
from mcusim.memory.problem import Problem, Solution
from mcusim.report.subject import Subject, title_of, trace_of
from mcusim.session.plan import Plan
from mcusim.session.run import Run

BAR = 24
"""Characters of the longest bar."""

SHOWN = 4
"""Tensors listed for each role; the rest is summed up."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a step needs the SRAM it needs. All sizes are exact counts of bytes.

    Attributes:
        title: what is explained.
        capacity_bytes: the SRAM there is; 0 if not known.
        peak_bytes: highest address in use, holes included.
        lower_bound_bytes: what no placement can beat.
        op, phase: the op during which most bytes are live.
        live: the blocks live then, largest first.
        planner: where the offsets come from.
        suggestions: what would lower the peak, from really planning it; one line each.
    """

    title: str
    capacity_bytes: int
    peak_bytes: int
    lower_bound_bytes: int
    op: str
    phase: str
    live: tuple[LiveBlock, ...]
    planner: str = ""
    suggestions: tuple[str, ...] = ()

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
            "suggestions": list(self.suggestions),
        }

    def __str__(self) -> str:
        return "\n".join([*self._head(), "", *self._roles(), *self._advice()])

    def _head(self) -> Iterable[str]:
        yield self.title
        peak = f"peak         {self.peak_bytes:>11,} B"
        if self.missing_bytes:
            peak += f"   does not fit {self.capacity_bytes:,} B: {self.missing_bytes:,} B are missing"
        elif self.capacity_bytes:
            peak += f"   {self.peak_bytes / self.capacity_bytes:.1%} of {self.capacity_bytes:,} B"
        yield peak
        during = f"{self.op} ({self.phase})" if self.op else "no op"
        yield f"live         {self.live_bytes:>11,} B   during {during}"
        yield f"lower bound  {self.lower_bound_bytes:>11,} B   no placement needs less"
        share = self.fragmentation_bytes / self.peak_bytes if self.peak_bytes else 0.0
        holes = f"holes        {self.fragmentation_bytes:>11,} B   {share:.1%} of the peak"
        yield holes + (f", placed by {self.planner}" if self.planner else "")

    def _roles(self) -> Iterable[str]:
        by_role = self.by_role
        largest = max(by_role.values(), default=1)
        for role, size in by_role.items():
            bar = "█" * max(round(BAR * size / largest), 1)
            yield f"{role:<12} {size:>11,} B  {size / self.live_bytes:>6.1%}  {bar}"
            blocks = [block for block in self.live if block.role == role]
            for block in blocks[:SHOWN]:
                yield f"  {block.bytes:>20,} B  {block.name}"
            rest = blocks[SHOWN:]
            if rest:
                yield f"  {sum(b.bytes for b in rest):>20,} B  in {len(rest)} more"

    def _advice(self) -> Iterable[str]:
        if self.suggestions:
            yield ""
            yield "what would lower it"
            for line in self.suggestions:
                yield f"  {line}"


def explain(subject: Subject, *, suggestions: Sequence[object] = ()) -> Explanation:
    """Explain the peak of a plan, run or trace.

    Args:
        subject: for a trace the offsets it was recorded with are explained.
        suggestions: lines to add; a plan brings its own.

    Raises:
        BadTrace: a damaged trace or events that contradict each other.
    """
    if isinstance(subject, Run):
        return explain(subject.plan, suggestions=suggestions)
    if isinstance(subject, Plan):
        return _explain_plan(subject, suggestions or subject.suggestions)
    from mcusim.traces.replay import replay

    trace = trace_of(subject)
    result = replay(trace)
    return Explanation(
        title=title_of(trace.header),
        capacity_bytes=trace.header.sram_bytes,
        peak_bytes=result.peak_bytes,
        lower_bound_bytes=result.live_bytes,
        op=result.moment.op,
        phase=result.moment.phase,
        live=result.moment.live,
        planner=trace.header.planner,
        suggestions=tuple(map(str, suggestions)),
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
    live = [LiveBlock(b.name, str(b.role), b.bytes_at(bound.time)) for b in problem.blocks]
    op, phase = ops[bound.time] if 0 <= bound.time < len(ops) else (f"time {bound.time}", "")
    return Explanation(
        title=title,
        capacity_bytes=problem.capacity or 0,
        peak_bytes=solution.height,
        lower_bound_bytes=solution.lower_bound,
        op=op,
        phase=phase,
        live=_largest_first(live),
        planner=solution.winner or solution.planner,
        suggestions=tuple(map(str, suggestions)),
    )


def _explain_plan(plan: Plan, suggestions: Sequence[object]) -> Explanation:
    live = [LiveBlock(t.name, str(t.role), t.bytes) for t in plan.live_tensors()]
    return Explanation(
        title=title_of(plan.header),
        capacity_bytes=plan.settings.sram_bytes,
        peak_bytes=plan.peak_bytes,
        lower_bound_bytes=plan.bound.bytes,
        op=plan.peak_op,
        phase=str(plan.step.ops[plan.bound.time].phase),
        live=_largest_first(live),
        planner=plan.header.planner,
        suggestions=tuple(map(str, suggestions)),
    )


def _largest_first(live: Iterable[LiveBlock]) -> tuple[LiveBlock, ...]:
    return tuple(sorted((b for b in live if b.bytes), key=lambda b: (-b.bytes, b.name)))
