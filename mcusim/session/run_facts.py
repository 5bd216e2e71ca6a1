"""What a run says about itself beside its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcusim.session.run import Run


def outcome(run: Run) -> str:
    """Return one line: what training changed."""
    return f"accuracy {run.accuracy_before:.2%} before, {run.accuracy_after:.2%} after {run.steps:,} steps"
