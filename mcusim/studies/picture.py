"""The picture of a study: the metric against bytes, time and energy, and the front that nobody beats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mcusim.core import BadArgument, MissingPackage
from mcusim.core.files import replacing
from mcusim.sections.colors import ALERT, INK
from mcusim.studies.result import StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXES = {
    "peak_bytes": ("peak SRAM (KiB)", 1024.0),
    "flash_bytes": ("flash (KiB)", 1024.0),
    "step_ms": ("time a step (ms, modelled)", 1.0),
    "step_mj": ("energy a step (mJ, modelled)", 1.0),
}
FILE = "pareto.png"


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
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPackage("matplotlib", "a picture of a study", "plot") from None
    known = [name for name in AXES if all(row.figure(name) is not None for row in result.means)]
    factor = 100.0 if metric.unit == "%" else 1.0
    figure = Figure(figsize=(4.6 * len(known), 4.4), layout="constrained")
    panes = figure.subplots(1, len(known), sharey=True, squeeze=False)[0]
    for pane, name in zip(panes, known, strict=True):
        label, unit = AXES[name]
        for row in result.means:
            pane.errorbar(
                (row.figure(name) or 0) / unit, factor * row.reported,
                yerr=None if row.spread is None else factor * row.spread, fmt="o", color=INK, capsize=3,
            )  # fmt: skip
        front = sorted(result.pareto(name), key=lambda row: row.figure(name) or 0)
        pane.plot(
            [(row.figure(name) or 0) / unit for row in front], [factor * row.reported for row in front],
            color=ALERT, linewidth=1,
        )  # fmt: skip
        pane.set_xlabel(label)
        pane.grid(alpha=0.25)
    said = f" ({metric.unit})" if metric.unit else ""
    panes[0].set_ylabel(f"{metric.name}{said}")
    figure.suptitle(result.study.name)
    return figure


def save_front(result: StudyResult) -> Path:
    """Write the picture into the folder of the study.

    Raises:
        MissingPackage, BadArgument: as ``plot_front``.
        SaveFailed: if the folder cannot be written.
    """
    figure = plot_front(result)
    path = result.folder / FILE
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=120)
    return path
