"""A training: what its metric and its loss did, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcusim.core.vocabulary import Role
from mcusim.reporting.pictures.canvas import FONT, SMALL, canvas, plain
from mcusim.sections.colors import ALERT, INK, ROLE_COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mcusim.session.run import Run

SHADES = (ROLE_COLORS[Role.INPUT], ROLE_COLORS[Role.FEATURE], ROLE_COLORS[Role.WEIGHT], ALERT)
DASHES = ("-", "--", "-.", ":")
"""Curves differ in dash too: for those who print in black, or see no red and green."""


def plot_training(run: Run) -> Figure:
    """Draw the metric of a run, and its loss, over the epochs."""
    figure, (left, right) = canvas(2.6, 2)
    names = [name for name in run.rows[0] if name != "epoch"]
    metrics = [name for name in names if name.endswith(f"_{run.metric.key}")]
    losses = [name for name in names if name.endswith("loss")]
    _curves(left, run, metrics, 100 if run.metric.unit == "%" else 1)
    left.set_ylabel(f"{run.metric.name} ({run.metric.unit})" if run.metric.unit else run.metric.name)
    _curves(right, run, losses, 1)
    right.set_ylabel("loss")
    for ax in (left, right):
        plain(ax)
    figure.suptitle(run.plan.title, x=0.01, ha="left", fontsize=FONT, color=INK)
    return figure


def _curves(ax: Axes, run: Run, names: Sequence[str], scale: float) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in run.rows]
    for i, name in enumerate(names):
        ax.plot(
            epochs, [row[name] * scale for row in run.rows], DASHES[i % len(DASHES)], marker="o",
            markersize=3 if len(epochs) < 30 else 0, linewidth=1.2, color=SHADES[i % len(SHADES)],
            label=name.replace("_", " "),
        )  # fmt: skip
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("epochs")
    if names:
        ax.legend(frameon=False, fontsize=SMALL, labelcolor=INK)
