"""A training: what its metric and its loss did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from mcusim.core.vocabulary import Role
from mcusim.reporting.pictures.canvas import below, canvas, headed, keys, plain, sparse
from mcusim.sections.colors import ALERT, ROLE_COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from mcusim.session.run import Run

SHADES = (ROLE_COLORS[Role.INPUT], ROLE_COLORS[Role.FEATURE], ROLE_COLORS[Role.WEIGHT], ALERT)
DASHES: tuple[Literal["-", "--", "-.", ":"], ...] = ("-", "--", "-.", ":")
"""Curves differ in dash too: for those who print in black, or see no red and green."""


def plot_training(run: Run) -> Figure:
    """Draw the metric of a run, and its loss, over the epochs; what is known on the way there too."""
    names = [name for name in run.rows[0] if name != "epoch"]
    metrics = [name for name in names if name.endswith(f"_{run.metric.key}")]
    losses = [name for name in names if name.endswith("loss")]
    parts = list(dict.fromkeys(_part(name) for name in (*metrics, *losses)))
    figure, (left, right) = canvas(1.75 + below(len(parts)), 2)
    _curves(left, run, metrics, parts, 100 if run.metric.unit == "%" else 1)
    left.set_ylabel(f"{run.metric.name} ({run.metric.unit})" if run.metric.unit else run.metric.name)
    _curves(right, run, losses, parts, 1)
    right.set_ylabel("loss")
    for ax in (left, right):
        plain(ax)
    headed(figure, run.plan.title)
    keys(figure, [_line(part, parts) for part in parts])
    return figure


def _part(name: str) -> str:
    """Return of which examples a curve is: the loss is that of training."""
    return name.rsplit("_", 1)[0] if "_" in name else "train"


def _line(part: str, parts: Sequence[str]) -> Line2D:
    from matplotlib.lines import Line2D

    at = parts.index(part)
    return Line2D(
        [], [], color=SHADES[at % len(SHADES)], linestyle=DASHES[at % len(DASHES)], linewidth=1.2, label=part
    )


def _curves(ax: Axes, run: Run, names: Sequence[str], parts: Sequence[str], scale: float) -> None:
    from matplotlib.ticker import MaxNLocator

    last = run.rows[-1]["epoch"]
    for name in names:
        at = parts.index(_part(name))
        known = [(row["epoch"], row[name] * scale) for row in run.curve or run.rows if row[name] is not None]
        ax.plot(
            *zip(*known, strict=True), DASHES[at % len(DASHES)], marker="o",
            markersize=2.5 if len(known) < 20 else 0, linewidth=1.2, color=SHADES[at % len(SHADES)],
        )  # fmt: skip
    ax.set_xlim(0, last + 0.04 * last)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=last > 1))
    sparse(ax.yaxis)
    ax.set_xlabel("epochs")
