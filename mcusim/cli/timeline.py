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
    trace: Annotated[Path | None, typer.Option(help="Write the first seconds as a Perfetto trace.")] = None,
    plot: o.Plot = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Simulate a device that learns from frames: steps a second, missed frames, energy, flash life."""
    from mcusim.cli.output import draw, end, print_json, print_sections, publish_sections
    from mcusim.cli.progress import working
    from mcusim.mcu.timeline.timeline_views import write_timeline_trace
    from mcusim.planning.timeline import timeline as simulated

    network = wanted.network()
    with working("planning"):
        plan = wanted.session(network).plan()
    answer = {
        **network.as_dict(), "model": network.model.name, "board": plan.board.name,
        "update": plan.settings.update, "fits": plan.fits,
    }  # fmt: skip
    if not plan.fits and json:
        needed = {"budget_bytes": plan.settings.sram_bytes, "peak_bytes": plan.peak_bytes}
        print_json({**answer, "sram": needed, "flash": plan.as_dict()["flash"]})
        end(plan.fits)
    with working("simulating frames, steps and write-backs"):
        found = simulated(plan, duty=wanted.timeline)
    if trace is not None:
        write_timeline_trace(found, trace)
    draw(found, plot)
    publish_sections(found.sections(), html, title=plan.title, glanced=found)
    if json:
        print_json({**answer, **found.as_dict()})
        return
    print_sections([*network.sections(), *found.sections()])
