"""How a training goes, while it goes: a bar on a terminal, lines elsewhere; both on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from mcusim.core.counted import hearing

Report = Callable[[dict[str, Any]], None]

PAUSE_S = 60.0
"""Seconds between two lines within an epoch."""


@contextmanager
def training_progress(*, lines: bool) -> Iterator[Report]:
    """Yield what ``Session.train`` calls with its counts.

    Where stderr is no terminal it says one line at the end of every epoch, and one when a minute has passed
    without any; with ``lines=False``, as for a program that reads the answer, only the latter.

    On a terminal it is a bar. Until the first counts arrive it says that kernels are being compiled: on a
    machine that never ran them this takes most of a minute.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    pace = Pace()
    if not console.is_terminal:
        yield Lines(pace, epochs=lines)
        return
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[metric]}"), TimeRemainingColumn(), console=console, transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task(
            "compiling kernels (once, up to a minute), evaluating", total=None, rate="", metric=""
        )

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


@contextmanager
def working(what: str, *, at_most_s: float | None = None) -> Iterator[None]:
    """Say on a terminal what goes on, once it has gone on for two seconds, until the block ends.

    Where the work goes through a loop of ``core.counted``, a bar says how much of it is done, how fast, and
    how long the rest will take; elsewhere how long it has taken.

    Args:
        what: goes on.
        at_most_s: seconds after which it ends by itself, as a search with a limit does.
    """
    from threading import Timer

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    limit = "" if at_most_s is None else f" (at most {at_most_s:,.0f} s)"
    shown = Progress(
        SpinnerColumn(), TextColumn(what + limit), TimeElapsedColumn(), console=console, transient=True
    )
    task = shown.add_task(what, total=None, rate="")
    known = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    began = monotonic()

    def hear(done: int, total: int | None) -> None:
        if total is not None and len(shown.columns) == 3:
            shown.columns = (*shown.columns, *known)
        rate = f"{done / max(monotonic() - began, 1e-9):,.3g} a second" if done else ""
        shown.update(task, completed=done, total=total, rate=rate)

    timer = Timer(SOON_S, shown.start)
    timer.daemon = True
    timer.start()
    try:
        with hearing(hear):
            yield
    finally:
        timer.cancel()
        timer.join()
        shown.stop()


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield what is called with the number of things done, and of all: a bar on a terminal, else nothing.

    It shows rate and time that is left, and only once the work has gone on for two seconds.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console, began = Console(stderr=True), monotonic()
    if not console.is_terminal:
        yield lambda done, total: None
        return
    bar = Progress(
        TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(), console=console, transient=True,
    )  # fmt: skip
    task = bar.add_task(what, total=None, rate="")

    def report(done: int, total: int) -> None:
        spent = monotonic() - began
        if spent > SOON_S:
            bar.start()
        bar.update(task, completed=done, total=total, rate=f"{done / max(spent, 1e-9):,.0f} a second")

    try:
        yield report
    finally:
        bar.stop()
