"""``mcusim calibrate``: a cycle profile from measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcusim.cli import options as o

if TYPE_CHECKING:
    from mcusim.core import Work


def calibrate(
    measurements: Annotated[
        Path,
        typer.Argument(
            help="CSV: cycles (or us and mhz), and kind with counts, or model; sram_stalls if known."
        ),
    ],
    core: Annotated[str, typer.Option(help="Core that was measured, e.g. cortex-m4.")],
    library: Annotated[str, typer.Option(help="Kernel library that was measured.")],
    name: Annotated[str, typer.Option(help="Name of the new profile.")],
    out: Annotated[Path | None, typer.Option(help="TOML file to write; NAME.toml if not given.")] = None,
    version: Annotated[str, typer.Option(help="Version of the library.")] = "",
    fully_connected: Annotated[
        float,
        typer.Option(
            help="Whole networks: cost of a fully connected MAC relative to others.", min=0.1, max=10
        ),
    ] = 1.2,
    json: o.Json = False,
) -> None:
    """Fit a cycle profile, leave every group of rows out once, and write it."""
    from dataclasses import asdict

    from mcusim.cli.output import print_json, print_tables
    from mcusim.mcu.cycles.calibration import calibrate as fitted
    from mcusim.mcu.cycles.measurement import read_measurements
    from mcusim.mcu.cycles.profile_writer import write_profile
    from mcusim.report.console import grid

    found = fitted(
        read_measurements(measurements, core, _works(measurements)), name=name, core=core, library=library,
        version=version, data=str(measurements), fully_connected=fully_connected,
        command=f"mcusim calibrate {measurements} --core {core} --library {library!r} --name {name}",
    )  # fmt: skip
    path = out or Path(f"{name}.toml")
    write_profile(found.profile, path)
    if json:
        rows = [
            {"row": e.row.name, "group": e.row.group, "cycles": e.row.cycles, "fitted_error": e.fitted,
             "held_out_error": e.held_out}
            for e in found.rows
        ]  # fmt: skip
        print_json({"out": str(path), "profile": asdict(found.profile), "rows": rows})
        return
    lines = [
        (
            e.row.name,
            f"{e.row.cycles:,.0f}",
            f"{e.fitted:+.1%}",
            "–" if e.held_out is None else f"{e.held_out:+.1%}",
        )
        for e in found.rows
    ]
    f = found.profile.fitted
    left = "" if f.held_out_mean_error is None else (
        f"; left out: mean {f.held_out_mean_error:.1%}, worst {f.held_out_worst_error:.1%}"
    )  # fmt: skip
    print_tables(
        grid(("row", "cycles", "fitted", "left out"), lines, numbers=(1, 2, 3)),
        f"{f.rows} rows, {f.constants} constants: mean error {f.mean_error:.1%}, worst {f.worst_error:.1%}"
        + left,
        f"written to {path}; use it with --profile {path}",
    )


def _works(path: Path) -> dict[str, tuple[Work, ...]]:
    """Count the work of every network that the column ``model`` names."""
    import csv

    from mcusim.files.load import load
    from mcusim.lowering.work import forward_work

    try:
        with path.open(newline="", encoding="utf-8") as file:
            names = {row.get("model") for row in csv.DictReader(file) if not row.get("kind")}
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}  # reading the measurements says what is wrong
    models = {name: load(name) for name in sorted(n for n in names if n)}
    return {name: tuple(forward_work(op, m.tensors) for op in m.ops) for name, m in models.items()}
