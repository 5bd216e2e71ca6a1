"""A difference: the bytes of both sides by role, and the ops whose peak changed most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcusim.core.vocabulary import Role
from mcusim.reporting.pictures.canvas import FONT, KIB, SMALL, canvas, shortened, titled
from mcusim.sections.colors import INK, ROLE_COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mcusim.reporting.diff import Difference, Line

LEFT, RIGHT = ROLE_COLORS[Role.INPUT], ROLE_COLORS[Role.FEATURE]
OPS = 10


def plot_difference(found: Difference) -> Figure:
    """Draw the live bytes of both sides by role and, where ops differ, at those that changed most."""
    parts: list[tuple[str, Sequence[Line]]] = [
        ("live bytes by role at the peak", (*found.totals[:2], *found.roles)),
        ("live bytes of ops that differ most", found.ops[:OPS]),
    ]
    parts = [(title, lines) for title, lines in parts if lines]
    tallest = max(len(lines) for _, lines in parts)
    figure, axes = canvas(1.1 + 0.27 * tallest, len(parts))
    for ax, (title, lines) in zip(axes, parts, strict=True):
        _pairs(ax, lines)
        titled(ax, title)
    handles, labels = axes[0].get_legend_handles_labels()
    names = [found.left.title, found.right.title]
    assert len(labels) == len(names)
    figure.legend(
        handles, names, loc="outside lower left", ncols=1, frameon=False, fontsize=SMALL, labelcolor=INK
    )
    return figure


def _pairs(ax: Axes, lines: Sequence[Line]) -> None:
    for shift, side, shade in ((-0.2, "left", LEFT), (0.2, "right", RIGHT)):
        sizes = [(getattr(line, side) or 0) / KIB for line in lines]
        ax.barh([i + shift for i in range(len(lines))], sizes, height=0.38, color=shade, label=side)
    ax.set_yticks(range(len(lines)), [shortened(line.name) for line in lines], fontsize=SMALL)
    ax.invert_yaxis()
    ax.set_xlabel("KiB", fontsize=FONT, color=INK)
