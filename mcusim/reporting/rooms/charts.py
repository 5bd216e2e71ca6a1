"""Small charts as SVG that needs no script: axes, curves, marks with a text each, bars.

A mark carries its text twice: ``data-tip``, which ``page.js`` shows at once, and ``aria-label``. Colours are
classes of ``page.css``, so that a chart follows light and dark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final

from mcusim.sections.html import escape
from mcusim.sections.kinds import digits

WIDTH, HEIGHT = 460, 230
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 10, 36
MOST_MARKS: Final = 80
"""Points of a curve that can be pointed at; the curve itself has all of them."""
SHADES: Final = 4
"""Classes ``c0`` to ``c3`` of the style, each with a dash of its own."""
Text = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Trend:
    """A curve: ``(x, y)`` in order, and how a value is written."""

    name: str
    points: Sequence[tuple[float, float]]
    text: Text = digits


@dataclass(frozen=True, slots=True)
class Mark:
    """A point with what is said of it; ``spread`` is half an error bar; ``best`` ones stand out."""

    x: float
    y: float
    tip: str
    spread: float = 0.0
    best: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a bar chart: ``text`` is what the value reads as, ``shade`` a colour of CSS."""

    name: str
    value: float
    text: str
    shade: str = "var(--c0)"


class Scale:
    """Values to pixels, with round ticks."""

    def __init__(self, low: float, high: float, start: float, end: float, ticks: int = 5) -> None:
        if low == high:
            low, high = (low - abs(low) * 0.05, high + abs(high) * 0.05) if low else (0.0, 1.0)
        rough = (high - low) / ticks
        power = 10.0 ** floor(log10(rough))
        self.step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
        self.low, self.high, self._start, self._end = low, high, start, end

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        return self._start + (self._end - self._start) * (value - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        """Round values within the range."""
        first, last = ceil(self.low / self.step - 1e-9), floor(self.high / self.step + 1e-9)
        return [k * self.step for k in range(first, last + 1)]


def trend_chart(title: str, trends: Sequence[Trend], axis: str) -> str:
    """Return curves over one axis; empty if there is no point."""
    trends = [trend for trend in trends if trend.points]
    if not trends:
        return ""
    xs = [x for trend in trends for x, _ in trend.points]
    ys = [y for trend in trends for _, y in trend.points]
    across, up = _scales(xs, ys)
    drawn = [_axes(across, up, digits, trends[0].text, axis)]
    for number, trend in enumerate(trends):
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in trend.points)
        drawn.append(f'<polyline class="trend c{number % SHADES}" points="{path}"/>')
        stride = -(-len(trend.points) // MOST_MARKS)
        chosen = [*trend.points[:-1:stride], trend.points[-1]]
        drawn += [
            _mark(across(x), up(y), f"{trend.name}: {trend.text(y)} at {digits(x)} {axis}", number % SHADES)
            for x, y in chosen
        ]
    keys = "".join(
        f'<span><i class="key c{number % SHADES}"></i>{escape(trend.name)}</span>'
        for number, trend in enumerate(trends)
        if len(trends) > 1
    )
    last = ", ".join(f"{t.name} ends at {t.text(t.points[-1][1])}" for t in trends)
    return _figure(title, keys, f"{title}: {last}", "".join(drawn))


def mark_chart(
    title: str, marks: Sequence[Mark], axis: str, texts: tuple[Text, Text], *, label: str = ""
) -> str:  # fmt: skip
    """Return points over an axis, as the title says of what; the best are joined, left to right.

    ``label`` says what is seen to those who do not see it.
    """
    if not marks:
        return ""
    ys = [mark.y + sign * mark.spread for mark in marks for sign in (-1, 1)]
    across, up = _scales([mark.x for mark in marks], ys, pad=0.06)
    drawn = [_axes(across, up, *texts, axis)]
    best = sorted((mark for mark in marks if mark.best), key=lambda mark: mark.x)
    path = " ".join(f"{across(mark.x):.1f},{up(mark.y):.1f}" for mark in best)
    drawn.append(f'<polyline class="trend front" points="{path}"/>')
    for mark in sorted(marks, key=lambda mark: mark.best):
        if mark.spread:
            x, low, high = across(mark.x), up(mark.y - mark.spread), up(mark.y + mark.spread)
            drawn.append(f'<path class="spread" d="M{x:.1f} {low:.1f}V{high:.1f}"/>')
        drawn.append(_mark(across(mark.x), up(mark.y), mark.tip, 3 if mark.best else 0, radius=4.5))
    said = label or f"{title}: {len(marks)} candidates, {len(best)} of them beaten by no other"
    return _figure(title, "", said, "".join(drawn))


def bar_chart(title: str, bars: Sequence[Bar]) -> str:
    """Return a table whose rows have a bar each; empty without rows."""
    if not bars:
        return ""
    largest = max(bar.value for bar in bars) or 1
    rows = "".join(
        f'<tr><th scope="row">{escape(bar.name)}</th><td class="n">{escape(bar.text)}</td>'
        f'<td class="bar"><i style="width:{100 * bar.value / largest:.1f}%;background:{bar.shade}"></i></td>'
        "</tr>"
        for bar in bars
    )
    table = f'<table class="shares"><caption>{escape(title)}</caption><tbody>{rows}</tbody></table>'
    return f'<div class="wide">{table}</div>'


def _scales(xs: Sequence[float], ys: Sequence[float], pad: float = 0.0) -> tuple[Scale, Scale]:
    reach, room = max(xs) - min(xs), max(ys) - min(ys)
    across = Scale(min(xs) - pad * reach, max(xs) + pad * reach, LEFT, WIDTH - RIGHT, 6)
    # What never changes is shown from nothing on: there is no 105 % of a share.
    low, high = (min(ys) - 0.04 * room, max(ys) + 0.04 * room) if room else (min(*ys, 0.0), max(*ys, 0.0))
    up = Scale(low, high, HEIGHT - BOTTOM, TOP)
    return across, up


def _axes(across: Scale, up: Scale, x_text: Text, y_text: Text, x_name: str) -> str:
    bottom = HEIGHT - BOTTOM
    parts = [
        f'<path class="grid" d="M{LEFT} {up(v):.1f}H{WIDTH - RIGHT}"/>'
        f'<text x="{LEFT - 6}" y="{up(v) + 4:.1f}" text-anchor="end">{escape(y_text(v))}</text>'
        for v in up.ticks
    ]
    parts += [
        f'<text x="{across(v):.1f}" y="{bottom + 15}" text-anchor="middle">{escape(x_text(v))}</text>'
        for v in across.ticks
    ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x_name)}</text>')
    return "".join(parts)


def _mark(x: float, y: float, tip: str, shade: int, radius: float = 2.5) -> str:
    said = escape(tip)
    return (
        f'<circle class="mark c{shade}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}" tabindex="-1" role="img" '
        f'aria-label="{said}" data-tip="{said}"/>'
    )


def _figure(title: str, keys: str, label: str, drawn: str) -> str:
    return (
        f'<figure class="chart"><figcaption><b>{escape(title)}</b> {keys}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="group" aria-label="{escape(label)}">{drawn}</svg>'
        "</figure>"
    )
