"""The live table of a study: what is done, what runs, the best so far, the time that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcusim.studies.point import Point
    from mcusim.studies.sweep import Standing

SHOWN = 8


@contextmanager
def study_table(*, wanted: bool) -> Iterator[Callable[[Standing], None] | None]:
    """Yield what ``sweep`` calls with its standing; ``None`` where nobody looks."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=True)
    if not wanted or not console.is_terminal:
        yield None
        return

    def drawn(standing: Standing) -> Any:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for name in ("point", "seed", "state", "epochs", "chosen by"):
            table.add_column(name)
        running = [point for point in standing.points if point.key in standing.running]
        best = sorted((p for p in standing.points if p.score() is not None), key=_rank)
        for point in [*running, *best][:SHOWN]:
            state = "running" if point.key in standing.running else point.status
            score = point.score()
            values = ", ".join(f"{name}={value}" for name, value in point.values.items())
            shown = "" if score is None else f"{score:.4f}"
            table.add_row(values, str(point.seed), state, str(len(point.rows)), shown)
        ended = sum(point.status != "waiting" for point in standing.points)
        left = "" if standing.left_s is None else f", about {_clock(standing.left_s)} left"
        said = f"{ended} of {standing.total} ended, {len(running)} running, {_clock(standing.seconds)}{left}"
        return Group(ProgressBar(total=standing.total, completed=ended, width=60), Text(said), table)

    last: list[tuple[Standing, float]] = []

    def now() -> Any:
        if not last:
            return Text("planning the points")
        standing, at = last[-1]
        since = monotonic() - at
        left = None if standing.left_s is None else max(0.0, standing.left_s - since)
        return drawn(replace(standing, seconds=standing.seconds + since, left_s=left))

    with Live(get_renderable=now, console=console, transient=True, refresh_per_second=4):
        yield lambda standing: last.__setitem__(slice(None), [(standing, monotonic())])


def _rank(point: Point) -> float:
    score = point.score()
    assert score is not None
    return -score if point.result["metric"]["higher_is_better"] else score


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
