"""A calibration: measured beside modelled cycles, and the rows that the model misses most."""

from __future__ import annotations

from math import exp, expm1
from typing import TYPE_CHECKING

from mcusim.mcu.cycles.band import QUANTILE
from mcusim.reporting.pictures.canvas import (
    FONT,
    SERIES,
    SMALL,
    canvas,
    fitted,
    headed,
    keys,
    shortened,
    titled,
)
from mcusim.sections.colors import INK, OTHER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mcusim.mcu.cycles.calibration import Calibration, RowError

ROWS = 14
"""Rows that are named: those that were missed most when they were left out."""


def plot_calibration(found: Calibration) -> Figure:
    """Draw every row, modelled over measured with its 90 % band, and the errors of those missed most.

    Raises:
        MissingPackage: matplotlib is not installed.
    """
    named = sorted(found.rows, key=lambda row: abs(_error(row)), reverse=True)[:ROWS]
    figure, (left, right) = canvas(3.6 + 0.145 * len(named), rows=2, heights=(2.0, 0.3 + 0.145 * len(named)))
    _pairs(left, found)
    _errors(right, named)
    f = found.profile.fitted
    said = f"{found.profile.name}: {f.rows} rows, mean error {f.mean_error:.1%}"
    if f.held_out_mean_error is not None:
        said += f"; left out {f.held_out_mean_error:.1%}, {f.coverage:.0%} in the 90 % band"
    headed(figure, said)
    keys(figure, [handle for ax in (left, right) for handle in ax.get_legend_handles_labels()[0]])
    return figure


def _error(row: RowError) -> float:
    return row.fitted if row.held_out is None else row.held_out


def _pairs(ax: Axes, found: Calibration) -> None:
    from matplotlib.ticker import EngFormatter, NullFormatter

    groups: dict[str, list[RowError]] = {}
    for row in found.rows:
        kinds = {work.kind for work in row.row.works}
        groups.setdefault(kinds.pop() if len(kinds) == 1 else "networks", []).append(row)
    if len(groups) > len(SERIES):  # the smallest kinds share the last mark
        ordered = sorted(groups, key=lambda kind: -len(groups[kind]))
        rest = [row for kind in ordered[len(SERIES) - 1 :] for row in groups[kind]]
        groups = {**{kind: groups[kind] for kind in ordered[: len(SERIES) - 1]}, "others": rest}
    for (shade, mark), (kind, rows) in zip(SERIES, groups.items(), strict=False):
        below = [row.modelled * -expm1(-QUANTILE * row.deviation) for row in rows]
        above = [row.modelled * expm1(QUANTILE * row.deviation) for row in rows]
        ax.errorbar(
            [row.row.cycles for row in rows], [row.modelled for row in rows], yerr=[below, above],
            color=shade, marker=mark, markersize=3, elinewidth=0.7, linestyle="none", label=shortened(kind),
        )  # fmt: skip
    ends = [min(row.row.cycles for row in found.rows), max(row.row.cycles for row in found.rows)]
    ends = [ends[0] / exp(0.2), ends[1] * exp(0.2)]
    ax.set(xlim=ends, ylim=ends)
    ax.plot(ends, ends, color=INK, linewidth=0.6, zorder=0)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("measured cycles", fontsize=FONT, color=INK)
    ax.set_ylabel("modelled cycles", fontsize=FONT, color=INK)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(EngFormatter(sep=" "))
        axis.set_minor_formatter(NullFormatter())
    ax.tick_params(labelsize=SMALL, which="both")
    titled(ax, "every row, bars: 90 % band")


def _errors(ax: Axes, rows: list[RowError]) -> None:
    places = range(len(rows))
    told = [("fitted", [row.fitted for row in rows]), ("left out", [_error(row) for row in rows])]
    ax.axvline(0, color=INK, linewidth=0.6)
    ax.hlines(list(places), 0, [100 * value for value in told[1][1]], color=OTHER, linewidth=0.8, zorder=0)
    for face, (label, values) in zip(("white", INK), told, strict=True):
        shown = [100 * value for value in values]
        ax.plot(
            shown,
            places,
            linestyle="none",
            marker="o",
            markersize=3.5,
            color=INK,
            markerfacecolor=face,
            label=label,
        )
    ax.set_yticks(list(places), [fitted(row.row.name, 1.2) for row in rows], fontsize=SMALL)
    ax.invert_yaxis()
    ax.set_xlabel("error of the model (%)", fontsize=FONT, color=INK)
    ax.margins(x=0.12)
    titled(ax, "rows that were missed most")
