"""``mcusim twin``: is the firmware the same as the simulator, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.cli.completing import offering
from mcusim.session.experiment import Experiment


@o.takes_settings()
def twin(
    wanted: Experiment,
    steps: Annotated[int, typer.Option(help="Steps to compare.", min=1, metavar="N")] = 1,
    core: Annotated[
        str | None,
        typer.Option(
            help="Core to emulate; the board's if not given.", metavar="CORE", autocompletion=offering("core")
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Compile what mcusim firmware wrote there.", metavar="DIR")
    ] = None,
    selftest: Annotated[
        bool, typer.Option("--selftest", help="Run the self test of the firmware on that core too.")
    ] = False,
    toolchain: Annotated[
        str | None, typer.Option(help="What compiles it: zig, or arm-none-eabi-gcc.", metavar="NAME")
    ] = None,
    emulator: Annotated[
        str | None,
        typer.Option(
            help="What runs it: unicorn, which counts instructions, or qemu-system-arm.", metavar="NAME"
        ),
    ] = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Compile the firmware of a training step, emulate it, and compare every op with the engine.

    Ctrl-C ends a long one and says what was compared in the steps until then. Exit code 0: equal in every
    byte; 3: not.
    """
    from mcusim.cli.output import end, print_json, print_sections, publish_sections
    from mcusim.cli.progress import working
    from mcusim.emulation.verb import twin_of

    network = wanted.network()
    data = wanted.recorded(network.model)
    with working("compiling, emulating, comparing op by op"):
        found = twin_of(
            wanted.session(network), data, steps, core=core, folder=folder, selftest=selftest,
            toolchain=toolchain, emulator=emulator,
        )  # fmt: skip
    publish_sections([*network.sections(), *found.sections()], html, title=network.model.name)
    if json:
        print_json({**network.as_dict(), **found.as_dict()})
    else:
        print_sections([*network.sections(), *found.sections()])
    end(found.equal)
