"""A study: the metric against bytes, time and energy, and the front that nobody beats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mcusim.core import BadArgument
from mcusim.reporting.pictures.canvas import FONT, SERIES, canvas, headed, keys, shortened, sparse
from mcusim.sections.colors import ALERT, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mcusim.studies.result import Mean, StudyResult

AXES = {
    "peak_bytes": ("peak SRAM (KiB)", 1024.0),
    "flash_bytes": ("flash (KiB)", 1024.0),
    "step_ms": ("time a step (ms)", 1.0),
    "step_mj": ("energy a step (mJ)", 1.0),
}


def plot_front(result: StudyResult) -> Figure:
    """Draw each candidate with its spread over seeds, once for each figure that is known; join the front.

    Colours and marks tell the values of one axis of the study apart: the first that has few of them.

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
    axis, groups = _groups(result.means)
    down = -(-len(known) // 2)
    figure, panes = canvas(0.9 + 1.4 * down, 2 if len(known) > 1 else 1, rows=down)
    for pane, name in zip(panes, known, strict=False):
        label, unit = AXES[name]
        for (shade, mark), (value, rows) in zip(SERIES, groups.items(), strict=False):
            _candidates(pane, name, rows, unit, factor, marker=mark, color=shade, label=shortened(value))
        front = sorted(result.pareto(name), key=lambda row: row.figure(name) or 0)
        pane.plot(
            [(row.figure(name) or 0) / unit for row in front], [factor * row.reported for row in front], "o-",
            color=ALERT, linewidth=0.8, markersize=6, markerfacecolor="none", markeredgewidth=1, zorder=1,
        )  # fmt: skip
        pane.set_xlabel(label, fontsize=FONT, color=INK)
        sparse(pane.xaxis, pane.yaxis, most=4)
        if pane in panes[::2]:
            said = f" ({metric.unit})" if metric.unit else ""
            pane.set_ylabel(f"{metric.name}{said}", fontsize=FONT, color=INK)
    for pane in panes[len(known) :]:
        pane.remove()
    if len(groups) > 1:
        keys(figure, panes[0].get_legend_handles_labels()[0], title=axis)
    headed(
        figure, f"study {result.study.name}; red: beaten by no other; bars: one standard deviation over seeds"
    )
    return figure


def _groups(rows: Sequence[Mean]) -> tuple[str, dict[str, list[Mean]]]:
    """Return the first axis that has no more values than there are marks, and the candidates of each."""
    for axis in rows[0].values:
        groups: dict[str, list[Mean]] = {}
        for row in rows:
            groups.setdefault(str(row.values.get(axis)), []).append(row)
        if 1 < len(groups) <= len(SERIES):
            return axis, groups
    return "", {"candidates": list(rows)}


def _candidates(pane: Axes, name: str, rows: Sequence[Mean], unit: float, factor: float, **how: Any) -> None:
    pane.errorbar(
        [(row.figure(name) or 0) / unit for row in rows], [factor * row.reported for row in rows],
        yerr=[factor * (row.spread or 0.0) for row in rows], markersize=3, elinewidth=0.7, capsize=2,
        linestyle="none", **how,
    )  # fmt: skip
