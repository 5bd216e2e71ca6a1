"""What the peak of a plan, run or trace is made of."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.core.errors import LiveBlock
from mcusim.report.subject import Subject
from mcusim.session.plan import Plan
from mcusim.session.run import Run
from mcusim.traces.explanation import Explanation, explain_trace, title_of


def explain(subject: Subject, *, suggestions: Sequence[object] = ()) -> Explanation:
    """Explain the peak of a plan, run or trace.

    Args:
        subject: a run is explained by its plan, a trace with the offsets it was recorded with.
        suggestions: lines to add; a plan brings its own.

    Raises:
        BadTrace: a damaged trace or events that contradict each other.
    """
    if isinstance(subject, Run):
        return explain(subject.plan, suggestions=suggestions)
    if not isinstance(subject, Plan):
        return explain_trace(subject, suggestions=suggestions)
    return Explanation(
        title=title_of(subject.header),
        capacity_bytes=subject.settings.sram_bytes,
        peak_bytes=subject.peak_bytes,
        lower_bound_bytes=subject.bound.bytes,
        op=subject.peak_op,
        phase=str(subject.step.ops[subject.bound.time].phase),
        live=[LiveBlock(t.name, str(t.role), t.bytes) for t in subject.live_tensors()],
        planner=subject.header.planner,
        suggestions=suggestions or subject.suggestions,
    )
