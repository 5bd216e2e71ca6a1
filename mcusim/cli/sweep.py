"""``mcusim sweep``: a study of many runs, planned first, trained where there is room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcusim.cli import options as o

if TYPE_CHECKING:
    from mcusim.studies.sweep import Standing


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
    plot: o.Plot = None,
    html: o.Html = None,
    live: o.LivePage = False,
    rows: Annotated[int, typer.Option(help="Rows of the table.", min=1)] = 20,
    json: o.Json = False,
) -> None:
    """Plan every point of a study, train those that fit, and keep all of it in one folder.

    Finished runs are never repeated; call it again to go on with what was killed.
    """
    from mcusim.cli.output import draw, print_json, print_sections, publish_study
    from mcusim.cli.study_progress import study_table
    from mcusim.studies.sweep import sweep as carried_out

    with ExitStack() as stack:
        told = [stack.enter_context(study_table(wanted=not json))]
        if live:
            told.append(stack.enter_context(_served(study, out)))

        def progress(standing: Standing) -> None:
            for tell in told:
                if tell is not None:
                    tell(standing)

        found = carried_out(
            study, out, workers=workers, scheduler=scheduler, memory=memory, plan_only=plan, retry=retry,
            extend=extend, progress=progress,
        )  # fmt: skip
    draw(found, plot)
    publish_study(found, html)
    if json:
        print_json({"schema": "mcusim.sweep/1", **found.as_dict()})
    else:
        print_sections(found.sections(rows))


@contextmanager
def _served(file: Path, out: Path | None) -> Iterator[Callable[[Standing], None]]:
    """Yield what takes the standing of a study and serves its page; say where.

    While runs go on the page is drawn anew from the histories in their folders.
    """
    from time import monotonic

    from mcusim.core import BadRun
    from mcusim.reporting.course import read_history
    from mcusim.reporting.live import Live
    from mcusim.reporting.study_page import study_page
    from mcusim.studies.result import StudyResult
    from mcusim.studies.study import Study
    from mcusim.studies.sweep import RUNS

    study = Study.read(file)
    folder = out if out is not None else Path("studies") / study.name
    last: list[tuple[Standing, float]] = []

    def history(key: str) -> list[dict[str, float | None]]:
        try:
            return read_history(folder / RUNS / key)
        except BadRun:
            return []  # its first row is not written yet

    def drawn() -> str:
        if not last:
            return study_page(StudyResult(study, folder, ()), live="It begins: points are planned.")
        standing, at = last[-1]
        since = monotonic() - at
        ended = sum(point.status != "waiting" for point in standing.points)
        said = f"{ended} of {standing.total} ended, {len(standing.running)} running, "
        said += f"{standing.seconds + since:.0f} s"
        if standing.left_s is not None:
            said += f", about {max(0.0, standing.left_s - since):.0f} s left"
        running = {key: history(key) for key in sorted(standing.running)}
        return study_page(StudyResult(study, folder, standing.points), live=said, running=running)

    with Live(drawn()) as live:
        typer.echo(f"live at {live.url}", err=True)
        with live.redrawn(drawn):
            yield lambda standing: last.__setitem__(slice(None), [(standing, monotonic())])
        live.show(drawn())
