"""The plans of all budgets, made and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcusim.core import BadArgument, Figure, McusimError
from mcusim.core.counted import counted
from mcusim.gate.baseline import Baseline, read_baseline
from mcusim.gate.budgets import Budgeted, read_budgets
from mcusim.gate.quantity import QUANTITIES, Quantity
from mcusim.planning.plan import Plan
from mcusim.sections.kinds import Column, Headline, Notes, Section, Table
from mcusim.sections.shown import Shown

SCHEMA = "mcusim.check/1"
TOLERANCE = 1e-9
"""Relative difference of two figures that is not one: modelled figures go through text."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure of one plan beside its limit and what it was.

    Attributes:
        quantity: what it is.
        figure: its value and kind; ``None`` where the board does not know, then ``missing`` says why.
        limit: the most it may be; ``None`` if nothing limits it.
        before: its value in the baseline; ``None`` without one.
    """

    quantity: Quantity
    figure: Figure | None
    limit: float | None = None
    before: float | None = None
    missing: str = ""

    @property
    def over(self) -> bool:
        """True if a limit is broken, or cannot be shown to hold."""
        return self.limit is not None and (self.figure is None or self.figure.value > self.limit)

    @property
    def increased(self) -> bool:
        """True if it is more than in the baseline."""
        if self.figure is None or self.before is None:
            return False
        return self.figure.value > self.before * (1 + TOLERANCE)

    @property
    def change(self) -> float | None:
        """Fraction by which it differs from the baseline."""
        if self.figure is None or not self.before:
            return None
        return self.figure.value / self.before - 1

    def excess(self) -> str:
        """Say by how much the limit is broken."""
        assert self.limit is not None
        name, text = self.quantity.name, self.quantity.text
        if self.figure is None:
            return f"{name} is limited and unknown: {self.missing}"
        over = text(self.figure.value - self.limit)
        return f"{name} is {text(self.figure.value)}, {over} over {text(self.limit)}"

    def growth(self) -> str:
        """Say by how much it grew."""
        assert self.figure is not None
        assert self.before is not None
        text = self.quantity.text
        return (
            f"{self.quantity.name} grew by {text(self.figure.value - self.before)} from {text(self.before)}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "quantity": self.quantity.name,
            "figure": None if self.figure is None else self.figure.as_dict(),
            "limit": self.limit, "before": self.before, "over": self.over, "increased": self.increased,
            "missing": self.missing,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """One budget, judged. ``error`` says why there is no plan."""

    name: str
    title: str
    findings: tuple[Finding, ...] = ()
    misfit: str = ""
    """The plan's verdict where it does not fit its board."""
    error: str = ""

    def problems(self, *, increases: bool) -> list[str]:
        """Return what is wrong, a sentence each; ``increases``: what grew is wrong too."""
        if self.error:
            return [self.error]
        found = [self.misfit] if self.misfit else []
        for item in self.findings:
            if item.over:
                found.append(item.excess())
            if increases and item.increased:
                found.append(item.growth())
        return found

    def as_dict(self, *, increases: bool) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "name": self.name, "title": self.title, "problems": self.problems(increases=increases),
            "error": self.error or None, "findings": [item.as_dict() for item in self.findings],
        }  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class Verdict(Shown):
    """Every budget of a file, judged."""

    path: str
    outcomes: tuple[Outcome, ...]
    increases: bool = False
    """True if what grew is wrong too."""

    @property
    def wrong(self) -> list[Outcome]:
        """The budgets with a problem."""
        return [item for item in self.outcomes if item.problems(increases=self.increases)]

    @property
    def holds(self) -> bool:
        """True if no budget has a problem."""
        return not self.wrong

    @property
    def broken(self) -> bool:
        """True if some budget could not even be planned."""
        return any(item.error for item in self.outcomes)

    @property
    def line(self) -> str:
        """How it ended, in a few words."""
        wrong, all_ = len(self.wrong), len(self.outcomes)
        return f"all {all_} hold" if not wrong else f"{wrong} of {all_} broken"

    def figures(self) -> dict[str, dict[str, float]]:
        """Return what a later baseline needs."""
        return {
            item.name: {f.quantity.name: f.figure.value for f in item.findings if f.figure is not None}
            for item in self.outcomes
            if not item.error
        }

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "schema": SCHEMA, "budgets": self.path, "holds": self.holds, "fail_on_increase": self.increases,
            "outcomes": [item.as_dict(increases=self.increases) for item in self.outcomes],
        }  # fmt: skip

    def rows(self) -> list[tuple[str, str, str, str, float | None, str]]:
        """Return a row a figure: budget, quantity, figure, limit, change, state."""
        found: list[tuple[str, str, str, str, float | None, str]] = []
        for outcome in self.outcomes:
            for item in outcome.findings:
                figure = "unknown" if item.figure is None else item.quantity.text(item.figure.value)
                limit = "" if item.limit is None else item.quantity.text(item.limit)
                state = "over" if item.over else "grew" if self.increases and item.increased else "ok"
                found.append((outcome.name, item.quantity.name, figure, limit, item.change, state))
            if outcome.error:
                found.append((outcome.name, "", "", "", None, "error"))
        return found

    def sections(self) -> list[Section]:
        """Return the verdict, a table of all figures, and what is wrong."""
        compared = any(row[4] is not None for row in self.rows())
        columns = [
            Column("budget", kind="name"), Column("quantity", kind="name"), Column("figure", kind="number"),
            Column("limit", kind="number"), Column("change", kind="change", priority=0 if compared else 1),
            Column("state", kind="name"),
        ]  # fmt: skip
        keep = [i for i in range(len(columns)) if compared or columns[i].name != "change"]
        table = Table([columns[i] for i in keep], [[row[i] for i in keep] for row in self.rows()])
        found: list[Section] = [Headline(f"budgets of {self.path}", self.line, self.holds), table]
        notes = [
            f"{item.name} ({item.title}): {problem}"
            for item in self.wrong
            for problem in item.problems(increases=self.increases)
        ]
        return [*found, Notes(notes, "what is wrong")] if notes else found


def check(
    budgets: str | Path, *, baseline: str | Path | None = None, fail_on_increase: bool = False
) -> Verdict:
    """Plan every network of a file of budgets and compare what it costs with its limits.

    Args:
        budgets: TOML file, or a ``pyproject.toml`` with a table ``tool.mcusim.check``.
        baseline: figures of an earlier state, from ``Verdict.figures``, to compare with.
        fail_on_increase: also count as wrong what is more than in the baseline.

    Returns:
        The verdict; a budget that is broken is an answer and no error. A network that cannot be planned
        is reported with the reason, and the others are judged.

    Raises:
        BadArgument: if the file or the baseline is damaged, or ``fail_on_increase`` has no baseline.
        UnknownName: for a setting or a limit that does not exist.
    """
    if fail_on_increase and baseline is None:
        raise BadArgument("fail_on_increase", "needs figures to compare with", "give a baseline")
    before: Baseline = {} if baseline is None else read_baseline(baseline)
    outcomes = [_outcome(item, before.get(item.name, {})) for item in counted(read_budgets(budgets))]
    return Verdict(str(budgets), tuple(outcomes), fail_on_increase)


def _outcome(item: Budgeted, before: Any) -> Outcome:
    try:
        plan: Plan = item.experiment.session().plan()
    except McusimError as error:
        return Outcome(item.name, "no plan", error=str(error))
    findings: Sequence[Finding] = [_finding(each, plan, item, before) for each in QUANTITIES.values()]
    kept = tuple(f for f in findings if f.figure is not None or f.limit is not None)
    return Outcome(item.name, plan.title, kept, "" if plan.fits else plan.verdict)


def _finding(quantity: Quantity, plan: Plan, item: Budgeted, before: Any) -> Finding:
    figure, missing = None, ""
    try:
        figure = quantity.measure(plan)
    except McusimError as error:
        missing = str(error)
    return Finding(quantity, figure, item.limits.get(quantity.name), before.get(quantity.name), missing)
