"""``mcusim calibrate``: a cycle profile from measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.cli.completing import offering


def calibrate(
    measurements: Annotated[
        Path,
        typer.Argument(
            help="CSV: cycles (or us and mhz), and kind with counts, or model; or with --model a log of ops."
        ),
    ],
    core: Annotated[
        str, typer.Option(help="Core that was measured, e.g. cortex-m4.", autocompletion=offering("core"))
    ],
    library: Annotated[str, typer.Option(help="Kernel library that was measured.")],
    name: Annotated[str, typer.Option(help="Name of the new profile.")],
    out: Annotated[Path | None, typer.Option(help="TOML file to write; NAME.toml if not given.")] = None,
    version: Annotated[str, typer.Option(help="Version of the library.")] = "",
    option: Annotated[str, typer.Option(help="How the library was built.")] = "",
    model: Annotated[
        str | None,
        typer.Option(
            help="Network of a log: TFLM profiler, ETDump, X-CUBE-AI validation, cycles by op (DWT, GVSoC).",
            autocompletion=offering("model"),
        ),
    ] = None,
    mhz: Annotated[float | None, typer.Option(help="Clock of a log of times.", min=0.1, max=5000)] = None,
    unit: Annotated[str, typer.Option(help="Of a log that does not say: cycles, us, ms, s.")] = "",
    plot: o.Plot = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Fit a cycle profile, leave every group of rows out once, and write it."""
    from dataclasses import asdict

    from mcusim.cli.output import called, draw, print_json, print_sections
    from mcusim.cli.progress import working
    from mcusim.explore.calibrate import calibrate as fitted
    from mcusim.mcu.cycles.profile_writer import write_profile
    from mcusim.sections.kinds import Command

    with working("fitting, every group of rows left out once"):
        found = fitted(
            measurements, name=name, core=core, library=library, version=version, option=option, model=model,
            mhz=mhz, unit=unit,
        )  # fmt: skip
    path = out or Path(f"{name}.toml")
    write_profile(found.profile, path)
    draw(found, plot)
    if html is not None:
        from mcusim.reporting.calibration_page import calibration_page
        from mcusim.reporting.page import written

        written(calibration_page(found, command=called()), html)
    if json:
        rows = [
            {"row": e.row.name, "group": e.row.group, "cycles": e.row.cycles, "modelled": e.modelled,
             "error_before": e.before, "fitted_error": e.fitted, "held_out_error": e.held_out,
             "deviation": e.deviation}
            for e in found.rows
        ]  # fmt: skip
        print_json({"out": str(path), "profile": asdict(found.profile), "rows": rows})
        return
    print_sections([*found.sections(), Command(f"--profile {path}", "written; use it with")])
