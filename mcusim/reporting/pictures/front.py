"""A study: the metric against bytes, time and energy, and the front that nobody beats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.core import BadArgument
from mcusim.core.vocabulary import Role
from mcusim.reporting.pictures.canvas import FONT, SMALL, canvas
from mcusim.sections.colors import ALERT, INK, ROLE_COLORS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcusim.studies.result import StudyResult

AXES = {
    "peak_bytes": ("peak SRAM (KiB)", 1024.0),
    "flash_bytes": ("flash (KiB)", 1024.0),
    "step_ms": ("time a step (ms)", 1.0),
    "step_mj": ("energy a step (mJ)", 1.0),
}


def plot_front(result: StudyResult) -> Figure:
    """Draw each candidate with its spread over seeds, once for each figure that is known; join the front.

    Raises:
        MissingPackage: matplotlib is not installed.
        BadArgument: nothing of the study is done yet.
    """
    metric = result.metric
    if not result.means or metric is None:
        reason = "has no candidate that is done"
        raise BadArgument(f"study {result.study.name}", reason, "train it first")
    known = [name for name in AXES if all(row.figure(name) is not None for row in result.means)]
    factor = 100.0 if metric.unit == "%" else 1.0
    figure, panes = canvas(
        2.4 if len(known) <= 2 else 4.6, 2 if len(known) > 1 else 1, rows=-(-len(known) // 2)
    )
    for pane, name in zip(panes, known, strict=False):
        label, unit = AXES[name]
        for row in result.means:
            pane.errorbar(
                (row.figure(name) or 0) / unit, factor * row.reported,
                yerr=None if row.spread is None else factor * row.spread, fmt="o", markersize=3.5,
                color=ROLE_COLORS[Role.INPUT], elinewidth=0.7, capsize=2,
            )  # fmt: skip
        front = sorted(result.pareto(name), key=lambda row: row.figure(name) or 0)
        pane.plot(
            [(row.figure(name) or 0) / unit for row in front], [factor * row.reported for row in front], "o-",
            color=ALERT, linewidth=1, markersize=3.5, zorder=5,
        )  # fmt: skip
        pane.set_xlabel(label, fontsize=FONT, color=INK)
        said = f" ({metric.unit})" if metric.unit else ""
        pane.set_ylabel(f"{metric.name}{said}", fontsize=FONT, color=INK)
        pane.tick_params(labelsize=SMALL)
    for pane in panes[len(known) :]:
        pane.remove()
    said = f"study {result.study.name}; red: beaten by no other; bars: one standard deviation over seeds"
    figure.suptitle(said, x=0.01, ha="left", fontsize=FONT, color=INK)
    return figure
