"""``mcusim train``: a network learns inside a board's memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcusim.cli import options as o
from mcusim.session.experiment import FILE, Experiment

if TYPE_CHECKING:
    from mcusim.planning.plan import Plan

Report = Callable[[dict[str, Any]], None]


@o.takes_settings()
def train(
    wanted: Experiment,
    out: o.Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Train anew where --out holds a run, which is removed.")
    ] = False,
    plot: o.Plot = None,
    html: o.Html = None,
    live: o.LivePage = False,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Also write scalars for TensorBoard here.", metavar="DIR")
    ] = None,
    json: o.Json = False,
) -> None:
    """Train at batch 1 inside the board's SRAM, and say what came of it."""
    from mcusim.cli.output import draw, print_json, print_sections, publish
    from mcusim.cli.progress import training_progress

    network = wanted.network()
    images = wanted.dataset(network.model)
    session = wanted.session(network)
    with ExitStack() as stack:
        told: list[Report] = [stack.enter_context(training_progress(lines=not json))]
        if live:
            told.append(stack.enter_context(_served(session.plan_for(images))))
        if tensorboard is not None:
            from mcusim.reporting.scalars import Scalars

            told.append(stack.enter_context(Scalars(tensorboard)))

        def report(counts: dict[str, Any]) -> None:
            for tell in told:
                tell(counts)

        run = session.train(
            images, recipe=wanted.training, out=out, resume=resume, overwrite=overwrite, progress=report
        )
    draw(run, plot)
    if html is not None:
        from mcusim.cli.answers import answers_of

        publish(run, html, answers=answers_of(run, wanted, images))
    if out is not None:
        wanted.write(out / FILE)
    if json:
        print_json(
            {
                "schema": "mcusim.train/1",
                **network.as_dict(),
                **run.as_dict(),
                "images_per_s": run.images_per_s,
            }
        )
        return
    print_sections([*network.sections(), *run.sections()])


@contextmanager
def _served(plan: Plan) -> Iterator[Report]:
    """Yield what takes the counts of a training and serves its page; say where."""
    from mcusim.reporting.live import Live
    from mcusim.reporting.live_training import LiveTraining

    drawing = LiveTraining(plan)
    last: list[dict[str, Any]] = []
    with Live(drawing.page()) as live:
        typer.echo(f"live at {live.url}", err=True)

        def report(counts: dict[str, Any]) -> None:
            last[:] = [counts]
            if live.due():
                live.show(drawing.page(counts))

        yield report
        if last:
            live.show(drawing.page(last[0]))
