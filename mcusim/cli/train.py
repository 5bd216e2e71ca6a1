"""``mcusim train``: a network learns inside a board's memory."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.session.experiment import FILE, Experiment


@o.takes_settings(group="training")
def train(
    wanted: Experiment,
    out: o.Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Train anew where --out holds a run, which is removed.")
    ] = False,
    plot: o.Plot = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Train at batch 1 inside the board's SRAM, and say what came of it."""
    from mcusim.cli.output import draw, print_json, print_sections, publish
    from mcusim.cli.progress import training_progress

    network = wanted.network()
    images = wanted.dataset(network.model)
    session = wanted.session(network)
    with training_progress(lines=not json) as report:
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
