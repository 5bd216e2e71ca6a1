"""Parallel coordinates: an upright axis a quantity, a line a candidate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mcusim.sections.html import escape
from mcusim.sections.kinds import digits

WIDTH, HEIGHT = 1000, 330
LEFT, TOP, BOTTOM = 70, 44, 20
LETTERS = 16
Value = str | float | None


@dataclass(frozen=True, slots=True)
class Upright:
    """One axis: numbers by size, anything else in the order in which it comes up."""

    name: str
    values: Sequence[Value]
    text: Callable[[float], str] = digits

    @property
    def numeric(self) -> bool:
        """True if all that is known are numbers."""
        return all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in self.values)

    def places(self) -> list[float]:
        """Return the height of each value, 0 at the bottom and 1 at the top; what is not known is 0."""
        if not self.numeric:
            words = list(dict.fromkeys(map(str, self.values)))
            return [words.index(str(v)) / max(len(words) - 1, 1) for v in self.values]
        known = [float(v) for v in self.values if v is not None]
        low, high = min(known, default=0.0), max(known, default=1.0)
        span = (high - low) or 1.0
        return [0.0 if v is None else (float(v) - low) / span for v in self.values]

    def labels(self) -> list[tuple[float, str]]:
        """Return height and text of what is written beside the axis."""
        if not self.numeric:
            words = list(dict.fromkeys(map(str, self.values)))
            return [(i / max(len(words) - 1, 1), word) for i, word in enumerate(words)]
        known = [float(v) for v in self.values if v is not None]
        if not known:
            return []
        ends = [(0.0, self.text(min(known)))]
        return ends if min(known) == max(known) else [*ends, (1.0, self.text(max(known)))]


def parallel_chart(uprights: Sequence[Upright], tips: Sequence[str], best: Sequence[bool]) -> str:
    """Return the chart; ``tips`` says what each line is, ``best`` lines lie on top."""
    if not uprights or not tips:
        return ""
    span = (WIDTH - 2 * LEFT) / max(len(uprights) - 1, 1)
    height = HEIGHT - TOP - BOTTOM

    def y(place: float) -> float:
        return TOP + height * (1 - place)

    axes = []
    for number, upright in enumerate(uprights):
        x, up = LEFT + span * number, number % 2
        axes.append(
            f'<path class="grid" d="M{x:.0f} {TOP}V{TOP + height}"/><text x="{x:.0f}" y="{14 + 14 * up}" '
            f'text-anchor="middle">{escape(upright.name)}</text>'
        )
        axes += [
            f'<text x="{x + 5:.0f}" y="{y(place) + 4:.1f}" class="label">{escape(_short(text))}</text>'
            for place, text in upright.labels()
        ]
    places = [upright.places() for upright in uprights]
    lines = []
    for row in sorted(range(len(tips)), key=lambda row: best[row]):
        points = " ".join(f"{LEFT + span * i:.1f},{y(column[row]):.1f}" for i, column in enumerate(places))
        said = escape(tips[row])
        kind = "line best" if best[row] else "line"
        lines.append(
            f'<polyline class="{kind}" points="{points}" tabindex="-1" role="img" aria-label="{said}" '
            f'data-tip="{said}"/>'
        )
    label = f"parallel coordinates of {len(tips)} candidates over {', '.join(u.name for u in uprights)}"
    return (
        '<figure class="chart parallel wide"><figcaption><b>every candidate over its choices and what came '
        f'of it</b></figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="group" '
        f'aria-label="{escape(label)}">'
        f"{''.join(lines)}{''.join(axes)}</svg></figure>"
    )


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"
