"""``mcusim sweep``: a study of many runs, planned first, trained where there is room."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o


def sweep(
    study: Annotated[Path, typer.Argument(help="TOML file of the study.", metavar="STUDY")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the study; studies/NAME if not given.", metavar="DIR")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes, one core each.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a running Dask cluster, e.g. tcp://10.0.0.4:8786.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="Most data that one process may hold, e.g. 4096MiB.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Train nothing: say which points fit.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Train again what failed before.")] = False,
    extend: Annotated[
        bool, typer.Option("--extend", help="Take over the folder of another study of this name.")
    ] = False,
    plot: Annotated[bool, typer.Option("--plot", help="Also draw pareto.png. Needs matplotlib.")] = False,
    html: o.Html = None,
    rows: Annotated[int, typer.Option(help="Rows of the table.", min=1)] = 20,
    json: o.Json = False,
) -> None:
    """Plan every point of a study, train those that fit, and keep all of it in one folder.

    Finished runs are never repeated; call it again to go on with what was killed.
    """
    from mcusim.cli.output import print_json, print_sections, publish_study
    from mcusim.cli.study_progress import study_table
    from mcusim.studies.picture import save_front
    from mcusim.studies.sweep import sweep as carried_out

    with study_table(wanted=not json) as tell:
        found = carried_out(
            study, out, workers=workers, scheduler=scheduler, memory=memory, plan_only=plan, retry=retry,
            extend=extend, progress=tell,
        )  # fmt: skip
    if plot:
        save_front(found)
    publish_study(found, html)
    if json:
        print_json({"schema": "mcusim.sweep/1", **found.as_dict()})
    else:
        print_sections(found.sections(rows))
