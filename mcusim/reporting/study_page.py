"""The page of a study: its fronts, every candidate over its choices, every run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mcusim.core.toml_text import toml
from mcusim.reporting.document import Room, document
from mcusim.reporting.rooms.charts import Mark, Trend, mark_chart, trend_chart
from mcusim.reporting.rooms.origin import versions
from mcusim.reporting.rooms.parallel import Upright, Value, parallel_chart
from mcusim.reporting.rooms.training import points as history
from mcusim.sections.html import body
from mcusim.sections.kinds import Cell, Column, Command, Facts, Headline, Notes, Section, Table, digits
from mcusim.studies.point import DONE, Point
from mcusim.studies.result import Mean, StudyResult

Rows = Sequence[Mapping[str, float | None]]
AXES = {
    "peak_bytes": ("peak SRAM, KiB", 1024.0), "flash_bytes": ("flash, KiB", 1024.0),
    "step_ms": ("time a step, ms", 1.0), "step_mj": ("energy a step, mJ", 1.0),
}  # fmt: skip
MOST_RUNS = 1200
"""Rows of the table of runs; a page stays small."""
CURVES = 4
"""Candidates whose metric is drawn over the epochs, the best."""


def study_page(
    result: StudyResult, *, command: str = "", live: str = "", running: Mapping[str, Rows] | None = None
) -> str:  # fmt: skip
    """Return a whole HTML document about a study.

    Args:
        result: of a sweep, or of its folder; it need not be at its end.
        command: what made the page, to be repeated.
        live: what a page that is served while the study runs says of itself.
        running: key of each point that is trained now -> the rows of its history as far as they are written.
    """
    running = running or {}
    sections = result.sections()
    head = next(s for s in sections if isinstance(s, Headline))
    best = result.best
    lines: list[Section] = [Headline("", head.verdict)]
    metric = result.metric
    if best is not None and metric is not None:
        seeds = f" over {len(best.points)} seeds" if len(best.points) > 1 else ""
        lines.append(
            Headline("best", f"{said(best.values)}: {metric.name} {metric.text(best.reported)}{seeds}")
        )
    rooms = [
        Room("fronts", "What more memory, time and energy buy", _fronts(result)),
        Room("choices", "Choices and what came of them", _parallel(result)),
        Room("candidates", "Candidates", body([s for s in sections[1:] if not isinstance(s, Command)])),
        Room("now", "What runs now", _going(result, running)),
        Room("course", "How the best of them learned", _curves(result)),
        Room("runs", "Runs", body(_runs(result, running))),
        Room("origin", "To repeat it", _origin(result, command)),
    ]
    return document(head.title, body(lines), rooms, live=live)


def said(values: Any) -> str:
    """Return the choices of a candidate in one line."""
    return ", ".join(f"{name} {_plain(value)}" for name, value in values.items()) or "the point"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, allow_nan=False)


def _fronts(result: StudyResult) -> str:
    metric = result.metric
    if metric is None or not result.means:
        return body([Notes(("No candidate is done yet.",))])
    text: Callable[[float], str] = metric.text
    charts = []
    for name, (label, unit) in AXES.items():
        rows = [row for row in result.means if row.figure(name) is not None]
        front = {id(row) for row in result.pareto(name)}
        marks = [
            Mark(
                (row.figure(name) or 0) / unit, row.reported, f"{_told(result, row)}; {label} "
                f"{digits((row.figure(name) or 0) / unit)}", row.spread or 0.0, id(row) in front,
            )
            for row in rows
        ]  # fmt: skip
        title = f"{metric.name} over {label.partition(',')[0]}"
        charts.append(mark_chart(title, marks, label, (digits, text)))
    note = body(
        [Notes(("Red: no other candidate is better in both. Bars: one standard deviation.",), quiet=True)]
    )
    return f'<div class="charts">{"".join(charts)}</div>{note}'


def _told(result: StudyResult, row: Mean) -> str:
    metric = result.metric
    assert metric is not None
    spread = "" if row.spread is None else f" ± {metric.text(row.spread)}"
    return f"{said(row.values)}: {metric.text(row.reported)}{spread}"


def _parallel(result: StudyResult) -> str:
    rows, metric = result.means, result.metric
    if metric is None or not rows:
        return ""
    uprights = [
        Upright(name, [_value(row.values[name]) for row in rows], lambda value: f"{value:g}")
        for name in rows[0].values
    ]
    uprights += [
        Upright(label, [None if (v := row.figure(name)) is None else v / unit for row in rows])
        for name, (label, unit) in AXES.items()
        if any(row.figure(name) is not None for row in rows)
    ]
    uprights.append(Upright(metric.name, [row.reported for row in rows], metric.text))
    front = {id(row) for row in result.pareto()}
    return parallel_chart(uprights, [_told(result, row) for row in rows], [id(row) in front for row in rows])


def _value(value: Any) -> Value:
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else _plain(value)


def _curves(result: StudyResult) -> str:
    metric = result.metric
    if metric is None:
        return ""
    trends = []
    ranked = [row.points[0] for row in result.means]
    going = [point for point in result.points if point.rows and point.status != DONE]
    for point in [*ranked, *going][:CURVES]:
        column = next(
            (c for c in point.rows[0] if c in (f"validation_{metric.key}", f"test_{metric.key}")), ""
        )
        points = [(float(row["epoch"]), float(row[column])) for row in point.rows if column]
        trends.append(Trend(said(point.values), points, metric.text))
    chart = trend_chart(metric.name, trends, "epochs")
    return f'<div class="charts">{chart}</div>' if chart else ""


def _going(result: StudyResult, running: Mapping[str, Rows]) -> str:
    """Return how far each run is that goes on, and the loss of those that began first."""
    if not running:
        return ""
    points = [point for point in result.points if point.key in running]
    columns = (Column("run"), Column("seed", kind="number"), Column("done", kind="share"))
    rows = [(said(point.values), point.seed, _share(point, running[point.key])) for point in points]
    trends = [Trend(said(point.values), history(running[point.key], "loss")) for point in points[:CURVES]]
    chart = trend_chart("loss", trends, "epochs")
    return body([Table(columns, rows)]) + (f'<div class="charts">{chart}</div>' if chart else "")


def _share(point: Point, rows: Rows) -> float:
    """Return the part of its epochs that a run has done."""
    return float(rows[-1]["epoch"] or 0) / point.experiment.training.epochs if rows else 0.0


def _runs(result: StudyResult, running: Mapping[str, Rows]) -> list[Section]:
    metric = result.metric
    share = metric is not None and metric.unit == "%"
    names = list(dict.fromkeys(name for point in result.points for name in point.values))
    measured = "share" if share else "number"
    columns = [
        *(Column(name, kind="name") for name in names), Column("seed", kind="number"),
        Column("state", kind="name"),
        Column("epochs", kind="number"), Column("chosen by", kind=measured, digits=2),  # type: ignore[arg-type]
        Column("result", kind=measured, digits=2), Column("peak", "B", "number"),  # type: ignore[arg-type]
        Column("time a step", "ms", "number"), Column("energy a step", "mJ", "number"),
        Column("took", "s", "number"), Column("why not"),
    ]  # fmt: skip
    rows: list[list[Cell]] = [_run(point, names, running) for point in result.points[:MOST_RUNS]]
    found: list[Section] = [Table(columns, rows)]
    if len(result.points) > MOST_RUNS:
        found.append(
            Notes((f"{len(result.points) - MOST_RUNS:,} further runs are in table.csv.",), quiet=True)
        )
    return found


def _run(point: Point, names: Sequence[str], running: Mapping[str, Rows]) -> list[Cell]:
    after = point.result.get("metric", {}).get("after")
    figures = point.figures
    return [
        *(_value(point.values.get(name)) for name in names), point.seed,
        "running" if point.key in running else point.status, len(point.rows), point.score(), after,
        figures.get("peak_bytes"), figures.get("step_ms"), figures.get("step_mj"),
        round(point.wall_s, 1) or None, point.reason,
    ]  # fmt: skip


def _origin(result: StudyResult, command: str) -> str:
    found: list[Section] = [Facts(versions())]
    if command:
        found.append(Command(command, "the command:"))
    if result.best is not None:
        found.append(Command(result.command(result.best.points[0]), "the best run again:"))
    text = toml(result.study.model_dump(mode="json", exclude_none=True, exclude_defaults=True))
    return body([*found, Command(text, "the study:")])
