"""What the peak of a plan, run or trace is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcusim.planning.plan import Plan
from mcusim.reporting.subject import Subject
from mcusim.session.run import Run
from mcusim.traces.explanation import Explanation, explain_trace


def explain(subject: Subject, *, suggestions: Sequence[object] = ()) -> Explanation:
    """Explain the peak of a plan, run or trace.

    Args:
        subject: a run is explained by its plan, a trace with the offsets it was recorded with.
        suggestions: lines to add; a plan brings its own.

    Returns:
        When the peak is, what is live there, and what is holes.

    Raises:
        BadTrace: a damaged trace or events that contradict each other.
    """
    if isinstance(subject, Run):
        subject = subject.plan
    if not isinstance(subject, Plan):
        return explain_trace(subject, suggestions=suggestions)
    found = subject.explain()
    return replace(found, suggestions=suggestions) if suggestions else found
