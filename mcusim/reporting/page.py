"""One page about one result: a single file without a network, made of the same sections as everything."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from mcusim.core.files import replacing
from mcusim.planning.facts import time_facts
from mcusim.planning.plan import Plan
from mcusim.reporting.arena import ArenaPicture
from mcusim.reporting.explain import explain
from mcusim.reporting.subject import Subject, trace_of
from mcusim.sections.html import STYLE, body
from mcusim.sections.kinds import Column, Facts, Headline, Notes, Section, Series, Table
from mcusim.session.run import Run

OPS = (
    Column("op", kind="name"), Column("phase"), Column("MACs", "", "number"), Column("live", "B", "number"),
    Column("cycles", "", "number"), Column("of the time", "", "share", digits=2),
)  # fmt: skip


def page(subject: Subject, *, first: Sequence[Section] = (), command: str = "") -> str:
    """Return a whole HTML document about a plan, run or trace.

    Args:
        subject: what it is about.
        first: sections to begin with, such as the outcome of a saved run.
        command: what made the page, to be repeated.

    Raises:
        BadTrace: a damaged trace or events that contradict each other.
    """
    trace = trace_of(subject)
    arena = ArenaPicture.of(trace.events, trace.header)
    about = [*first, *_about(subject)]
    head = next((s for s in about if isinstance(s, Headline)), Headline("mcusim"))
    top, rest = _begin([s for s in about if s is not head])
    notes = [Notes(arena.notes(), quiet=True)]
    parts = (
        f"<header><h1>{escape(head.title)}</h1>{body([Headline('', head.verdict, head.good)])}</header>"
        f"{body(top)}"
        f'<section id="arena"><h2>The arena over a step</h2>{_HELP}{arena.legend()}{arena.svg()}{body(notes)}'
        '<div id="now" aria-live="polite"></div></section>'
        f"<section><h2>What memory is made of</h2>{body(rest)}</section>"
        f"<section><h2>Ops</h2>{body([_ops(subject, arena)])}</section>"
        f"<section><h2>To repeat it</h2>{body(_origin(subject, command))}</section>"
    )
    here = files("mcusim.reporting")
    style, script = (here.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(head.title)}</title><style>{STYLE}{style}</style></head>"
        f'<body><main class="mcusim">{parts}</main>'
        f'<script type="application/json" id="data">{arena.data()}</script><script>{script}</script>'
        "</body></html>\n"
    )


def report(
    subject: Subject,
    path: str | Path = "report.html",
    *,
    first: Sequence[Section] = (),
    command: str = "",
) -> Path:
    """Write one HTML file about a plan, run or trace: it opens from disk, and needs no network.

    Args:
        subject: what it is about.
        path: the file to write.
        first: sections to begin with, such as the outcome of a saved run.
        command: what made the page, to be repeated.

    Returns:
        The path.

    Raises:
        BadTrace: a damaged trace or events that contradict each other.
        SaveFailed: if the file cannot be written; one that was there stays.
    """
    whole = page(subject, first=first, command=command).encode()
    with replacing(path) as file:
        file.write(whole)
    return Path(path)


_HELP = (
    '<p class="quiet help">A box is a tensor: as high as its bytes, as wide as its life. Empty is free. '
    "Click an op to see what is live; arrow keys move, + and − zoom (or Ctrl and the wheel), 0 shows all, "
    "dragging moves the view, a role below can be dimmed.</p>"
)


def _begin(sections: list[Section]) -> tuple[list[Section], list[Section]]:
    """Return the facts and curves that are read first, and the rest, for below the map."""
    top = [isinstance(s, Facts | Series) for s in sections]
    first = [place for place, wanted in enumerate(top) if wanted][:2]
    return [sections[i] for i in first], [s for i, s in enumerate(sections) if i not in first]


def _about(subject: Subject) -> list[Section]:
    explained: list[Section] = [s for s in explain(subject).sections() if not isinstance(s, Notes)]
    match subject:
        case Plan():
            return [*subject.sections(), *explained[1:]]
        case Run():
            plan = [s for s in subject.plan.sections() if isinstance(s, Facts)]
            return [*subject.sections(), *plan, *explained[1:]]
    return explained


def _ops(subject: Subject, arena: ArenaPicture) -> Table:
    plan = subject.plan if isinstance(subject, Run) else subject
    if not isinstance(plan, Plan):
        return Table([OPS[0], OPS[1], OPS[3]], [(name, phase, live) for name, phase, live in arena.ops])
    rows = plan.by_op()
    total = 0 if plan.estimate is None else plan.estimate.total_cycles
    cells = [
        (r["op"], r["phase"], r["macs"], r["live_bytes"], r["cycles"], r["cycles"] / total if total else None)
        for r in rows
    ]
    return Table(OPS, cells)


def _origin(subject: Subject, command: str) -> list[Section]:
    from mcusim import __version__

    header = trace_of(subject).header
    plan = subject.plan if isinstance(subject, Run) else subject
    rows = [
        ("mcusim", __version__), ("network", header.model), ("board", header.board),
        ("update", header.scheme), ("seed", str(header.seed)),
        ("formats", ", ".join(f"{part} {chosen}" for part, chosen in header.formats.items())),
        ("SRAM", f"{header.sram_bytes:,} B"), ("planner", header.planner), ("cycle profile", header.profile),
        ("command", command),
    ]  # fmt: skip
    if isinstance(plan, Plan):
        rows += [row for row in time_facts(plan.estimate, plan.board) if row[0] == "not counted"]
    return [Facts([(label, value) for label, value in rows if value])]
