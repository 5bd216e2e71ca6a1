"""``mcusim stream``: tasks one after the other, what is forgotten, and what a replay buffer costs."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.session.experiment import Experiment


@o.takes_settings()
def stream(
    wanted: Experiment,
    by: Annotated[
        str, typer.Option(help="How --data is divided into tasks: class, or group (e.g. a speaker).")
    ] = "class",
    new: Annotated[int, typer.Option(help="New classes a task brings.", min=1)] = 2,
    then: Annotated[
        str | None,
        typer.Option(help="Data sets that come after --data, with commas, instead of dividing it."),
    ] = None,
    out: o.Out = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Learn one task after the other and test on all of them after each: what is gained, what forgotten.

    --replay keeps examples to be learned again; its bytes, its moves and its steps are counted.
    """
    from mcusim.cli.output import print_json, print_sections, publish_sections
    from mcusim.cli.progress import training_progress
    from mcusim.studies.stream import stream as learned
    from mcusim.studies.stream import tasks_of

    network = wanted.network()
    tasks = tasks_of(wanted, network.model, by=by, new=new, then=None if then is None else then.split(","))
    with training_progress(lines=not json) as report:
        found = learned(wanted.session(network), tasks, out=out, recipe=wanted.training, progress=report)
    publish_sections(found.sections(), html, title=network.model.name)
    if json:
        print_json({"schema": "mcusim.stream/1", **found.as_dict()})
        return
    print_sections([*network.sections(), *found.sections()])
