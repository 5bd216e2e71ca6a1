"""The room of the training: curves of everything it wrote down, and what is confused with what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mcusim.reporting.course import Course
from mcusim.reporting.rooms.charts import Trend, trend_chart
from mcusim.reporting.rooms.confusion import confusion
from mcusim.sections.html import body
from mcusim.sections.kinds import Facts, digits
from mcusim.session.answers import Answers

AXIS = "epochs"
OTHERS = {"learning_rate": "learning rate", "saturations": "saturated values", "coverage": "coverage"}
"""Columns of the history that are neither a loss nor a metric, with the title of their chart."""


def training_room(course: Course, answers: Answers | None = None) -> str:
    """Return the curves of a training and, where its answers are known, what is confused with what."""
    facts = [("outcome", course.outcome), ("examples", str(course.protocol))]
    if course.saturated_share:
        facts.append(("saturated", f"{course.saturated_share:.3%} of the values of error tensors"))
    rows = course.curve or course.epochs
    charts = "".join(curves(rows, course.metric.key, course.metric.unit == "%", course.metric.name))
    confused = "" if answers is None else confusion(answers)
    return f'{body([Facts(facts)])}<div class="charts">{charts}</div>{confused}'


def curves(rows: Sequence[Mapping[str, Any]], key: str, percent: bool, name: str) -> list[str]:
    """Return a chart for the metric, the loss and each other quantity of a history.

    Args:
        rows: of the history; a cell may be ``None``.
        key: the end of the columns that hold the metric.
        percent: it is a share.
        name: of the metric.
    """
    if not rows:
        return []
    columns = list(rows[0])
    shown = (lambda value: f"{value:.1%}") if percent else digits
    measured = [column for column in columns if column.endswith(f"_{key}")]
    charts = [
        trend_chart(
            name,
            [Trend(c.removesuffix(f"_{key}").replace("_", " "), points(rows, c), shown) for c in measured],
            AXIS,
        ),
        trend_chart("loss", [Trend("loss", points(rows, "loss"))], AXIS),
    ]
    for column, title in OTHERS.items():
        if column in columns:
            written = (lambda value: f"{value:.1%}") if column == "coverage" else digits
            charts.append(trend_chart(title, [Trend(title, points(rows, column), written)], AXIS))
    return [chart for chart in charts if chart]


def points(rows: Sequence[Mapping[str, Any]], column: str) -> list[tuple[float, float]]:
    """Return epoch and value of the rows in which a column is known."""
    found = [(row["epoch"], row.get(column)) for row in rows]
    return [(float(x), float(y)) for x, y in found if y is not None]
