"""Two plans, runs or traces side by side: per role, per op, per phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcusim.core.vocabulary import SRAM_ROLES, Phase
from mcusim.events import EventTable
from mcusim.events.schema import CODES, ENUMERATED
from mcusim.reporting.subject import Subject, trace_of
from mcusim.sections.kinds import Column, Facts, Section, Table
from mcusim.sections.shown import Shown
from mcusim.traces.explanation import title_of
from mcusim.traces.live import inside_ops, live_bytes

if TYPE_CHECKING:
    import pandas as pd


SHOWN = 10
"""Ops that are listed."""
CHANGE = Column("change", "", "change")


@dataclass(frozen=True, slots=True)
class Account:
    """What is compared of one side. Bytes are exact, cycles are what the trace's cycle model said.

    Attributes:
        peak_bytes: highest address in use.
        live_bytes: most bytes live at once; ``by_role`` sums to it.
        by_op: op to the most bytes live during it.
        by_phase: phase to the most bytes live during one of its ops.
        cycles_by_op: op to its cycles, over all steps.
    """

    title: str
    peak_bytes: int
    live_bytes: int
    by_role: Mapping[str, int]
    by_op: Mapping[str, int]
    by_phase: Mapping[str, int]
    cycles_by_op: Mapping[str, int]

    @property
    def cycles(self) -> int:
        """Cycles of all ops together."""
        return sum(self.cycles_by_op.values())


@dataclass(frozen=True, slots=True)
class Line:
    """A figure on both sides; ``None`` where a side does not have it."""

    name: str
    left: int | None
    right: int | None

    @property
    def change(self) -> int:
        """Right minus left, a missing side counting as 0."""
        return (self.right or 0) - (self.left or 0)


@dataclass(frozen=True, slots=True)
class Difference(Shown):
    """The right side against the left."""

    left: Account
    right: Account

    @property
    def totals(self) -> tuple[Line, ...]:
        """Peak, live bytes and cycles."""
        a, b = self.left, self.right
        return (
            Line("peak", a.peak_bytes, b.peak_bytes),
            Line("live", a.live_bytes, b.live_bytes),
            Line("cycles", a.cycles, b.cycles),
        )

    @property
    def roles(self) -> tuple[Line, ...]:
        """Bytes of each role at the fullest moment, in the order of the roles."""
        return _lines(self.left.by_role, self.right.by_role, [str(role) for role in SRAM_ROLES])

    @property
    def phases(self) -> tuple[Line, ...]:
        """Most bytes live in each phase, in the order of the phases."""
        return _lines(self.left.by_phase, self.right.by_phase, [str(phase) for phase in Phase])

    @property
    def ops(self) -> tuple[Line, ...]:
        """Most bytes live in each op that differs, the largest change first."""
        lines = _lines(self.left.by_op, self.right.by_op, [])
        return tuple(sorted((line for line in lines if line.change), key=lambda line: -abs(line.change)))

    def frame(self, part: str = "roles") -> pd.DataFrame:
        """Return ``totals``, ``roles``, ``phases`` or ``ops`` as a table."""
        import pandas as pd

        lines: Sequence[Line] = getattr(self, part)
        rows = [(line.name, line.left, line.right, line.change) for line in lines]
        columns = [part.removesuffix("s"), self.left.title, self.right.title, "change"]
        frame = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[1:], "Int64"))
        return frame.set_index(columns[0])

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        parts = {"totals": self.totals, "roles": self.roles, "phases": self.phases, "ops": self.ops}
        return {
            "left": self.left.title,
            "right": self.right.title,
            **{
                part: [
                    {"name": line.name, "left": line.left, "right": line.right, "change": line.change}
                    for line in lines
                ]
                for part, lines in parts.items()
            },
        }

    def sections(self) -> list[Section]:
        """Return both titles and the figures of both sides: in total, by role, by phase, by op."""
        parts = (
            ("in total", self.totals),
            ("live bytes by role, at the fullest moment", self.roles),
            ("most live bytes by phase", self.phases),
            ("most live bytes by op, where it changed most", self.ops[:SHOWN]),
        )
        found: list[Section] = [Facts((("left", self.left.title), ("right", self.right.title)))]
        for title, lines in parts:
            if lines:
                columns = (Column(title), *(Column(n, "", "number") for n in ("left", "right")), CHANGE)
                found.append(Table(columns, [(x.name, x.left, x.right, x.change) for x in lines]))
        return found


def diff(left: Subject, right: Subject, *, names: tuple[str, str] | None = None) -> Difference:
    """Compare two plans, runs or traces; ``names`` replace their titles.

    Args:
        left: a plan, a run or a trace.
        right: another one.
        names: replace their titles.

    Returns:
        Bytes and cycles of both sides: in total, by role, by phase, by op.

    Raises:
        BadTrace: a damaged trace or events that contradict each other.
    """
    titles = names or (None, None)
    return Difference(account(left, titles[0]), account(right, titles[1]))


def account(subject: Subject, title: str | None = None) -> Account:
    """Return what is compared of one side."""
    from mcusim.traces.replay import replay

    trace = trace_of(subject)
    result = replay(trace)
    events = trace.events
    inside = inside_ops(events)
    live = live_bytes(events)
    return Account(
        title=title or title_of(trace.header),
        peak_bytes=result.peak_bytes,
        live_bytes=result.live_bytes,
        by_role=result.moment.by_role,
        by_op=_largest(events.op[inside], live[inside], events.op_names),
        by_phase=_largest(events.phase[inside], live[inside], ENUMERATED["phase"]),
        cycles_by_op=_cycles(events),
    )


def _largest(codes: Any, values: Any, words: tuple[str, ...]) -> dict[str, int]:
    """Return the largest value of each word, in order of first appearance."""
    most = np.zeros(len(words), np.int64)
    np.maximum.at(most, codes, values)
    return {words[code]: int(most[code]) for code in dict.fromkeys(codes.tolist())}


def _cycles(events: EventTable) -> dict[str, int]:
    """Return the cycles of each op; a start counts down and an end up, so their sum is the duration."""
    kinds = CODES["event"]
    signs = (events.event == kinds["op_end"]).astype(np.int64) - (events.event == kinds["op_start"])
    totals = np.zeros(len(events.op_names), np.int64)
    np.add.at(totals, events.op, signs * events.cycle)
    return {name: int(total) for name, total in zip(events.op_names, totals, strict=True) if total > 0}


def _lines(left: Mapping[str, int], right: Mapping[str, int], order: Sequence[str]) -> tuple[Line, ...]:
    names = dict.fromkeys([*(name for name in order if name in left or name in right), *left, *right])
    return tuple(Line(name, left.get(name), right.get(name)) for name in names)
