"""``mcusim firmware``: the training step of a plan as C, and what came of it on a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.session.experiment import Experiment


@o.takes_settings(but=("data",))
def firmware(
    wanted: Experiment,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A new folder; with --read a model file.", metavar="DIR")
    ],
    read: Annotated[
        Path | None,
        typer.Option(help="Write the network that a board has learned, from its flash.", metavar="DUMP"),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(help="Compare a linked program with the plan in the folder.", metavar="ELF"),
    ] = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Write a training step as a folder of C: kernels, the tables of its plan, builds, how to use them.

    With --read, what a board has learned becomes a model file again; with --check, arena, statics, stack and
    flash of a linked program are held against the plan. Exit code 3: it does not suit the plan.
    """
    from mcusim.cli.output import end, print_json, print_sections, publish_sections
    from mcusim.cli.progress import working

    if check is not None:
        from mcusim.emulation.linked import linked

        report = linked(out, check)
        print_json(report.as_dict()) if json else print_sections(report.sections())
        end(not report.problems)
        return
    network = wanted.network()
    session = wanted.session(network)
    if read is not None:
        from mcusim.deployment.reading import read_dump
        from mcusim.files.save import save
        from mcusim.sections.kinds import Headline

        save(session.learned(read_dump(read)), out)
        print_json({"model": str(out)}) if json else print_sections(
            [Headline(f"what was learned is in {out}")]
        )
        return
    with working("planning, writing C"):
        found = session.firmware(out)
    publish_sections([*network.sections(), *found.sections()], html, title=str(out))
    if json:
        print_json({**network.as_dict(), **found.as_dict()})
    else:
        print_sections([*network.sections(), *found.sections()])
