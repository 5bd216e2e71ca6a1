"""The page of two results: what changed, in total and op by op, and both arenas side by side."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.core.vocabulary import Phase
from mcusim.reporting.course import Course
from mcusim.reporting.diff import CHANGE, Difference, Line, diff
from mcusim.reporting.document import Room, document
from mcusim.reporting.page import HELP, MOST_OPS, Reported, course_of, plan_of, trace_for
from mcusim.reporting.rooms.arena import ArenaPicture
from mcusim.reporting.rooms.charts import Trend, trend_chart
from mcusim.reporting.rooms.origin import flat, versions
from mcusim.reporting.rooms.training import points
from mcusim.reporting.rooms.verdict import verdict
from mcusim.sections.colors import color
from mcusim.sections.html import body, escape
from mcusim.sections.kinds import Column, Command, Facts, Headline, Notes, Section, Table

ROLES = ("peak", "live")


def difference_page(
    left: Reported, right: Reported, *, names: tuple[str, str] = ("left", "right"), command: str = ""
) -> str:
    """Return a whole HTML document about two plans, runs or traces.

    Args:
        left: one of them.
        right: the other.
        names: what they are called.
        command: what made the page, to be repeated.

    Raises:
        BadTrace: a damaged trace or events that contradict each other.
    """
    traces = [trace_for(side) for side in (left, right)]
    found = diff(*traces, names=names)
    arenas = [ArenaPicture.of(trace.events, trace.header) for trace in traces]
    change = found.totals[0].change
    word = "as many bytes of SRAM" if not change else f"{abs(change):,} B {'more' if change > 0 else 'less'}"
    rooms = [
        Room("totals", "What changed", _totals(found, names)),
        Room("arenas", "Both arenas over a step", HELP + _sides(names, [a.room() for a in arenas])),
        Room("figures", "Both results", _figures(names, left, right)),
        Room("training", "Both trainings", _training(names, course_of(left), course_of(right))),
        Room("ops", "Op by op", body(_ops(found, names))),
        Room("origin", "To repeat it", _origin(names, left, right, command)),
    ]
    lines = body([Headline("", f"{names[1]} needs {word} at the peak", None if not change else change < 0)])
    title = f"{names[0]} and {names[1]}"
    return document(title, lines, rooms, scripts=("arena.js",), data=[a.data() for a in arenas])


def _sides(names: Sequence[str], parts: Sequence[str]) -> str:
    sides = (f"<div><h3>{escape(name)}</h3>{part}</div>" for name, part in zip(names, parts, strict=True))
    return f'<div class="sides">{"".join(sides)}</div>'


def _totals(found: Difference, names: Sequence[str]) -> str:
    """Return pairs of bars: in total, by role, by phase."""
    groups = (
        ("in total", found.totals[:2]), ("live bytes by role, at the fullest moment", found.roles),
        ("most live bytes by phase", [line for line in found.phases if line.name in set(Phase)]),
    )  # fmt: skip
    tables = "".join(_pairs(title, lines, names) for title, lines in groups)
    cycles = body([Table(_columns("cycles", names), [_row(line) for line in found.totals[2:]])])
    return f'<div class="charts">{tables}</div>{cycles}'


def _pairs(title: str, lines: Sequence[Line], names: Sequence[str]) -> str:
    most = max((size or 0 for line in lines for size in (line.left, line.right)), default=1) or 1
    heads = "".join(f'<th class="n" scope="col">{escape(name)}</th>' for name in names)
    rows = []
    for line in lines:
        shade = "var(--c0)" if line.name in ROLES else color(line.name)
        bars = "".join(
            f'<i style="width:{100 * (size or 0) / most:.1f}%;background:{shade};opacity:{opacity}"></i>'
            for size, opacity in ((line.left, 0.55), (line.right, 1))
        )
        sizes = "".join(
            f'<td class="n">{"–" if s is None else f"{s:,}"}</td>' for s in (line.left, line.right)
        )
        rows.append(
            f'<tr><th scope="row">{escape(line.name)}</th>{sizes}<td class="n">{line.change:+,}</td>'
            f'<td class="bar">{bars}</td></tr>'
        )
    return (
        f'<div class="wide"><table class="shares"><caption>{title}</caption><thead><tr><td></td>{heads}'
        f'<th class="n" scope="col">change</th><td></td></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _columns(name: str, sides: Sequence[str]) -> tuple[Column, ...]:
    return (Column(name, kind="name"), *(Column(side, "", "number") for side in sides), CHANGE)


def _row(line: Line) -> tuple[str, int | None, int | None, int]:
    return line.name, line.left, line.right, line.change


def _figures(names: Sequence[str], left: Reported, right: Reported) -> str:
    parts = []
    for side in (left, right):
        plan = plan_of(side)
        parts.append("" if plan is None else body([verdict(plan, course_of(side))]))
    return _sides(names, parts) if any(parts) else ""


def _training(names: Sequence[str], left: Course | None, right: Course | None) -> str:
    """Return the curves of both in the same charts, where both were trained for the same metric."""
    if left is None or right is None:
        return ""
    outcomes = body([Facts([(name, c.outcome) for name, c in zip(names, (left, right), strict=True)])])
    if left.metric != right.metric:
        return outcomes
    metric, charts = left.metric, []
    part = f"{left.protocol.reported}_{metric.key}"
    for title, column, text in ((metric.name, part, metric.text), ("loss", "loss", lambda v: f"{v:.3g}")):
        trends = [
            Trend(name, points(c.curve or c.epochs, column), text)
            for name, c in zip(names, (left, right), strict=True)
        ]
        charts.append(trend_chart(title, trends, "epochs"))
    return f'{outcomes}<div class="charts">{"".join(charts)}</div>'


def _ops(found: Difference, names: Sequence[str]) -> list[Section]:
    lines = found.ops
    if not lines:
        return [Notes(("In no op are more or fewer bytes live.",))]
    return [Table(_columns("most live bytes", names), [_row(line) for line in lines[:MOST_OPS]])]


def _origin(names: Sequence[str], left: Reported, right: Reported, command: str) -> str:
    plans = [plan_of(side) for side in (left, right)]
    found: list[Section] = [Facts(versions())]
    if plans[0] is not None and plans[1] is not None:
        one, two = (dict(flat(plan.settings.as_dict())) for plan in plans if plan is not None)
        keys = [key for key in dict.fromkeys([*one, *two]) if one.get(key) != two.get(key)]
        columns = (Column("setting that differs", kind="name"), Column(names[0]), Column(names[1]))
        if keys:
            found.append(Table(columns, [(key, one.get(key), two.get(key)) for key in keys]))
    if command:
        found.append(Command(command, "the command:"))
    return body(found)
