"""``mcusim timeline``: frames, steps, write-backs and sleep side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.session.experiment import Experiment


@o.takes_settings(but=("data",))
def timeline(
    wanted: Experiment,
    fps: Annotated[float, typer.Option(help="Frames a second that the sensor makes.")] = 1.0,
    hours: Annotated[float, typer.Option(help="Simulated time.")] = 1.0,
    dma: Annotated[
        float | None, typer.Option(help="Bytes a second from sensor to SRAM; at once if not given.")
    ] = None,
    buffers: Annotated[int, typer.Option(help="Input buffers.", min=1, max=64)] = 1,
    write_back_every: Annotated[
        int, typer.Option(help="Steps between write-backs of the learned parameters; 0: never.", min=0)
    ] = 1000,
    slots: Annotated[int, typer.Option(help="Copies in flash, written in turn.", min=2, max=64)] = 2,
    trace: Annotated[Path | None, typer.Option(help="Write the first seconds as a Perfetto trace.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the first seconds (.png, .svg, .pdf).")] = None,
    json: o.Json = False,
) -> None:
    """Simulate a device that learns from frames: steps a second, missed frames, energy, flash life."""
    from mcusim.cli.output import end, print_json, print_sections
    from mcusim.mcu.timeline.timeline_views import plot_timeline, write_timeline_trace
    from mcusim.planning.timeline import timeline as simulated

    network = wanted.network()
    plan = wanted.session(network).plan()
    answer = {
        **network.as_dict(), "model": network.model.name, "board": plan.board.name,
        "update": plan.settings.update, "fits": plan.fits,
    }  # fmt: skip
    if not plan.fits and json:
        needed = {"budget_bytes": plan.settings.sram_bytes, "peak_bytes": plan.peak_bytes}
        print_json({**answer, "sram": needed, "flash": plan.as_dict()["flash"]})
        end(plan.fits)
    found = simulated(
        plan, frames_per_s=fps, duration_s=hours * 3600, dma_bytes_per_s=dma, buffers=buffers,
        write_back_every=write_back_every, slots=slots,
    )  # fmt: skip
    if trace is not None:
        write_timeline_trace(found, trace)
    if plot is not None:
        from mcusim.core.files import replacing

        with replacing(plot) as file:
            plot_timeline(found).savefig(file, format=plot.suffix.lstrip(".") or "png", dpi=110)
    if json:
        print_json({**answer, **found.as_dict()})
        return
    print_sections([*network.sections(), *found.sections()])
