"""A progress bar of a training: images a second and the running metric, on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

Report = Callable[[dict[str, Any]], None]


@contextmanager
def training_bar(*, wanted: bool) -> Iterator[Report | None]:
    """Yield what ``Session.train`` calls with its counts; ``None`` where nobody looks.

    Until the first counts arrive the line says that kernels are being compiled: on a machine that
    never ran them this takes most of a minute.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not wanted or not console.is_terminal:
        yield None
        return
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[metric]}"), TimeRemainingColumn(), console=console, transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task("compiling kernels, evaluating", total=None, rate="", metric="")
        first: list[tuple[int, float]] = []

        def report(counts: dict[str, Any]) -> None:
            metric = counts["metric"]
            now, step = perf_counter(), counts["step"]
            first[:] = first or [(step, now)]
            rate = (step - first[0][0]) / (now - first[0][1]) if step > first[0][0] else 0.0
            bar.update(
                task, description=f"epoch {min(counts['epoch'] + 1, counts['epochs'])}/{counts['epochs']}",
                total=counts["epochs"] * counts["per_epoch"],
                completed=counts["epoch"] * counts["per_epoch"] + counts["position"],
                rate=f"{rate:,.0f} images/s" if rate else "",
                metric=f"{metric.name} {metric.text(counts['train'])}",
            )  # fmt: skip

        yield report
