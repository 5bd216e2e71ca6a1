"""How a training goes, while it goes: a bar on a terminal, lines elsewhere; both on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from mcusim.core.counted import hearing

Report = Callable[[dict[str, Any]], None]

COMPILING = "compiling kernels (once, up to a minute)"
PAUSE_S = 60.0
"""Seconds between two lines within an epoch."""


@contextmanager
def training_progress(*, lines: bool) -> Iterator[Report]:
    """Yield what ``Session.train`` calls with its counts.

    Where stderr is no terminal it says one line at the end of every epoch, and one when a minute has passed
    without any; with ``lines=False``, as for a program that reads the answer, only the latter.

    On a terminal it is a bar. On a machine that never ran the kernels it says first that they are compiled,
    and how long that takes.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from mcusim.explore.installation import compiled_kernels

    console = Console(stderr=True)
    pace = Pace()
    first = not compiled_kernels()[1]
    if not console.is_terminal:
        if first and lines:
            sys.stderr.write(f"{COMPILING}\n")
            sys.stderr.flush()
        yield Lines(pace, epochs=lines)
        return
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[metric]}"), TimeRemainingColumn(), console=console, transient=True,
    ) as bar:  # fmt: skip
        began = f"{COMPILING}, evaluating" if first else "evaluating"
        task = bar.add_task(began, total=None, rate="", metric="")

        def evaluated(done: int, total: int | None) -> None:
            bar.update(task, description="evaluating, kept features", completed=done, total=total)

        def report(counts: dict[str, Any]) -> None:
            metric = counts["metric"]
            bar.update(
                task, description=f"epoch {min(counts['epoch'] + 1, counts['epochs'])}/{counts['epochs']}",
                total=counts["epochs"] * counts["per_epoch"],
                completed=counts["epoch"] * counts["per_epoch"] + counts["position"],
                rate=pace.text(counts["step"]),
                metric=f"{metric.name} {metric.text(counts['train'])}",
            )  # fmt: skip

        with hearing(evaluated):
            yield report


class Pace:
    """Images a second since the first counts came: compiling and evaluating before are left out."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def text(self, step: int) -> str:
        """Return the pace at a step; empty before there is one."""
        now = monotonic()
        if self._first is None:
            self._first = step, now
        begin, since = self._first
        return f"{(step - begin) / (now - since):,.0f} images/s" if step > begin and now > since else ""


class Lines:
    """Writes a line now and then."""

    def __init__(self, pace: Pace, *, epochs: bool) -> None:
        self._pace, self._epochs, self._last = pace, epochs, monotonic()

    def __call__(self, counts: dict[str, Any]) -> None:
        """Say how far it is, if it is time to."""
        pace = self._pace.text(counts["step"])
        ended = counts["position"] == 0
        if not (ended and self._epochs) and monotonic() - self._last < PAUSE_S:
            return
        self._last = monotonic()
        metric, part, done = counts["metric"], counts["part"], counts["epoch"]
        place = (
            f"epoch {done}" if ended else f"epoch {done + 1}, {counts['position'] / counts['per_epoch']:.0%}"
        )
        parts = [
            f"{place} of {counts['epochs']}" if ended else f"{place} of it",
            f"step {counts['step']:,}",
            f"loss {counts['loss']:.4g}",
            f"{metric.name} {metric.text(counts['train'])} in training",
            *([f"{metric.text(counts['test'])} on {part} examples"] if ended and part else []),
            *([pace] if pace else []),
        ]
        sys.stderr.write(f"{', '.join(parts)}\n")
        sys.stderr.flush()


SOON_S = 2.0
"""What takes less needs no bar."""
OFTEN_S = 0.1
"""Between two changes of what a bar shows."""


class Headway:
    """How much of something is done, how fast, and how long the rest will take."""

    def __init__(self) -> None:
        self.done = 0
        self.total: int | None = None
        self._began = self._since = monotonic()
        self._end: float | None = None

    def hear(self, done: int, total: int | None) -> None:
        """Take the number of things done, and of all."""
        if done < self.done or total != self.total:  # something else begins
            self._since = monotonic()
        self.done, self.total = done, total

    def ends(self, seconds: float) -> None:
        """Take the seconds after which it ends by itself, at the latest."""
        self._end, self.done, self.total = monotonic() + seconds, 0, None

    def text(self) -> str:
        """Return what is known, in words."""
        now = monotonic()
        spent = now - self._since
        parts = (
            [f"{self.done:,} of {self.total:,}"] if self.total else [f"{self.done:,}"] if self.done else []
        )
        if self.done and spent > 0:
            rate = self.done / spent
            parts.append(f"{rate:,.0f} a second" if rate >= 100 else f"{rate:.3g} a second")
        left = None if self._end is None else max(self._end - now, 0.0)
        known = spent * (self.total - self.done) / self.done if self.total and self.done else None
        if known is not None and (left is None or known < left):
            parts.append(f"about {_clock(known)} left")
        else:
            parts.append(f"{_clock(now - self._began)} so far")
            parts += [] if left is None else [f"at most {_clock(left)} left"]
        return ", ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


@contextmanager
def working(what: str, *, at_most_s: float | None = None) -> Iterator[None]:
    """Say what goes on, once it has gone on for two seconds, until the block ends.

    Where the work goes through a loop of ``core.counted``, it says how much is done, how fast, and how long
    the rest will take; elsewhere how long it has taken and, if it has a limit, how long it may still take. On
    a terminal that is a bar, elsewhere a line a minute; both on stderr.

    Args:
        what: goes on.
        at_most_s: seconds after which it ends by itself, as a search with a limit does.
    """
    from threading import TIMEOUT_MAX, Event, Thread

    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    headway, console = Headway(), Console(stderr=True)
    if at_most_s is not None:
        headway.ends(at_most_s)
    bar = Progress(
        SpinnerColumn(), TextColumn(what), BarColumn(bar_width=16), TextColumn("{task.fields[text]}"),
        console=console, transient=True, auto_refresh=False,
    )  # fmt: skip
    task = bar.add_task(what, total=None, text="")
    over = Event()

    def draw() -> None:
        if over.wait(SOON_S):
            return
        bar.start()
        while True:
            bar.update(task, completed=headway.done, total=headway.total, text=headway.text(), refresh=True)
            if over.wait(OFTEN_S):
                break
        bar.stop()

    def write() -> None:
        while not over.wait(min(PAUSE_S, TIMEOUT_MAX)):
            sys.stderr.write(f"{what}: {headway.text()}\n")
            sys.stderr.flush()

    told = Thread(target=draw if console.is_terminal else write, daemon=True)
    told.start()
    try:
        with hearing(headway.hear, headway.ends):
            yield
    finally:
        over.set()
        told.join()
