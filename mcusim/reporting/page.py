"""One page about one result: a single file without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mcusim.core.files import replacing
from mcusim.planning.plan import Plan
from mcusim.planning.regions import regions_of
from mcusim.reporting.course import Course
from mcusim.reporting.document import Room, document
from mcusim.reporting.explain import explain
from mcusim.reporting.rooms.arena import ArenaPicture
from mcusim.reporting.rooms.device import device_room
from mcusim.reporting.rooms.layers import LEGEND, layers_room
from mcusim.reporting.rooms.origin import origin_room
from mcusim.reporting.rooms.training import training_room
from mcusim.reporting.rooms.verdict import verdict
from mcusim.reporting.saved import SavedRun
from mcusim.reporting.subject import Subject, trace_of
from mcusim.sections.html import body
from mcusim.sections.kinds import Column, Facts, Headline, Notes, Section, Series, Table
from mcusim.session.answers import Answers
from mcusim.session.run import Run
from mcusim.traces import Trace

Reported = Subject | SavedRun
OPS = (
    Column("op", kind="name"), Column("phase"), Column("MACs", "", "number"), Column("live", "B", "number"),
    Column("cycles", "", "number"), Column("of the time", "", "share", digits=2),
)  # fmt: skip
MOST_OPS = 1500
"""Rows of the table of ops; a page stays small."""


def page(
    subject: Reported, *, first: Sequence[Section] = (), command: str = "", answers: Answers | None = None
) -> str:
    """Return a whole HTML document about a plan, run or trace.

    Args:
        subject: what it is about.
        first: sections to begin with.
        command: what made the page, to be repeated.
        answers: what the trained network answers, for what is confused with what.

    Raises:
        BadTrace: a damaged trace or events that contradict each other.
    """
    course, plan, trace = course_of(subject), plan_of(subject), trace_for(subject)
    arena = ArenaPicture.of(trace.events, trace.header, () if plan is None else regions_of(plan.board))
    about = [*first, *_about(subject)]
    head = next((s for s in about if isinstance(s, Headline)), Headline("mcusim"))
    top, rest = _begin([s for s in about if s is not head])
    figures: list[Section] = [] if plan is None else [verdict(plan, course)]
    missing = ""
    if isinstance(subject, SavedRun) and subject.missing:
        missing = body([Notes((f"There is no plan of this run: {subject.missing}",), quiet=True)])
    rooms = [
        Room("arena", "The arena over a step", f"{HELP}{arena.room()}{missing}"),
        Room(
            "layers",
            "Layers",
            "" if plan is None else layers_room(plan) + body([Notes((LEGEND,), quiet=True)]),
        ),
        Room("training", "Training", "" if course is None else training_room(course, answers)),
        Room("device", "On the device", "" if plan is None else device_room(plan)),
        Room("memory", "What memory is made of", body([*top, *rest])),
        Room("ops", "Ops", body(_ops(plan, arena))),
        Room("origin", "To repeat it", origin_room(trace.header, plan, course, command)),
    ]
    first_lines = body([Headline("", head.verdict, head.good), *figures])
    return document(head.title, first_lines, rooms, scripts=("arena.js",), data=[arena.data()])


def report(
    subject: Reported,
    path: str | Path = "report.html",
    *,
    first: Sequence[Section] = (),
    command: str = "",
    answers: Answers | None = None,
) -> Path:
    """Write one HTML file about a plan, run or trace: it opens from disk, and needs no network.

    Args:
        subject: what it is about.
        path: the file to write.
        first: sections to begin with.
        command: what made the page, to be repeated.
        answers: what the trained network answers, for what is confused with what.

    Returns:
        The path.

    Raises:
        BadTrace: a damaged trace or events that contradict each other.
        SaveFailed: if the file cannot be written; one that was there stays.
    """
    return written(page(subject, first=first, command=command, answers=answers), path)


def written(text: str, path: str | Path) -> Path:
    """Write a page, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())
    return Path(path)


HELP = (
    '<p class="quiet help">A box is a tensor: as high as its bytes, as wide as its life. Empty is free. '
    "Click an op to see what is live; arrow keys move, + and − zoom (or Ctrl and the wheel), 0 shows all, "
    "dragging moves the view, a role below can be dimmed.</p>"
)


def trace_for(subject: Reported) -> Trace:
    """Return the events of a subject, and of a run in a folder."""
    return trace_of(subject.trace if isinstance(subject, SavedRun) else subject)


def course_of(subject: Reported) -> Course | None:
    """Return how the training of a run went; ``None`` of anything else."""
    match subject:
        case Run():
            return Course.of(subject)
        case SavedRun():
            return subject.course
    return None


def plan_of(subject: Reported) -> Plan | None:
    """Return the plan of a subject, if there is one."""
    return subject if isinstance(subject, Plan) else getattr(subject, "plan", None)


def _begin(sections: list[Section]) -> tuple[list[Section], list[Section]]:
    """Return the facts that are read first, and the rest."""
    facts = [isinstance(s, Facts) for s in sections]
    first = [place for place, wanted in enumerate(facts) if wanted][:2]
    return [sections[i] for i in first], [s for i, s in enumerate(sections) if i not in first]


def _about(subject: Reported) -> list[Section]:
    of = subject
    if isinstance(of, SavedRun):
        of = of.trace if of.plan is None else of.plan
    explained: list[Section] = [s for s in explain(of).sections() if not isinstance(s, Notes)]
    match subject:
        case Plan():
            return [*subject.sections(), *explained[1:]]
        case Run():
            facts = [s for s in subject.plan.sections() if isinstance(s, Facts)]
            own = [s for s in subject.sections() if not isinstance(s, Series)]
            return [*own, *facts, *explained[1:]]
        case SavedRun():
            planned = [] if subject.plan is None else subject.plan.sections()
            rest = [s for s in planned if not isinstance(s, Headline)]
            return [*subject.sections(), *rest, *explained[1:]]
    return explained


def _ops(plan: Plan | None, arena: ArenaPicture) -> list[Section]:
    if plan is None:
        columns, rows = (OPS[0], OPS[1], OPS[3]), [(name, phase, live) for name, phase, live in arena.ops]
        table = Table(columns, rows[:MOST_OPS])
    else:
        total = 0 if plan.estimate is None else plan.estimate.total_cycles
        cells = [
            (
                r["op"],
                r["phase"],
                r["macs"],
                r["live_bytes"],
                r["cycles"],
                r["cycles"] / total if total else None,
            )
            for r in plan.by_op()
        ]
        table, rows = Table(OPS, cells[:MOST_OPS]), cells  # type: ignore[assignment]
    more = len(rows) - MOST_OPS
    return [table, Notes((f"{more:,} further ops are not listed.",), quiet=True)] if more > 0 else [table]
