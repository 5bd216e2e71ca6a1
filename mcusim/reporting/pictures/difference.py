"""A difference: the bytes of both sides by role, and the ops whose peak changed most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcusim.core.vocabulary import Role
from mcusim.reporting.pictures.canvas import FONT, KIB, SMALL, WIDTH, canvas, fitted, legend, titled
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
    counts = [len(lines) for _, lines in parts]
    figure, axes = canvas(0.75 + sum(0.35 + 0.2 * count for count in counts), rows=len(parts), heights=counts)
    for ax, (title, lines) in zip(axes, parts, strict=True):
        _pairs(ax, lines)
        titled(ax, title)
    axes[-1].set_xlabel("KiB", fontsize=FONT, color=INK)
    sides = ((LEFT, found.left.title), (RIGHT, found.right.title))
    legend(figure, {fitted(title, WIDTH - 0.4): shade for shade, title in sides})
    return figure


def _pairs(ax: Axes, lines: Sequence[Line]) -> None:
    for shift, side, shade in ((-0.2, "left", LEFT), (0.2, "right", RIGHT)):
        sizes = [(getattr(line, side) or 0) / KIB for line in lines]
        ax.barh([i + shift for i in range(len(lines))], sizes, height=0.38, color=shade, label=side)
    ax.set_yticks(range(len(lines)), [fitted(line.name, 1.3) for line in lines], fontsize=SMALL)
    ax.set_ylim(len(lines) - 0.5, -0.5)
