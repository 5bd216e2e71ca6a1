"""Bars one below the other, each under the line that says what it is: a column has no room beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.reporting.pictures.canvas import SMALL, WIDTH, fitted, inches
from mcusim.sections.colors import ALERT, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAR = 0.31
"""Inches a bar takes with its line."""
THICK = 0.42
"""Of that, the bar itself."""


def over(ax: Axes, row: int, who: str, said: str, *, fits: bool) -> None:
    """Write over a bar who it is, and at the right what is said of it; what does not fit red and crossed."""
    who, ink = (who, INK) if fits else (f"✗ {who}", ALERT)
    room = WIDTH - 0.2 - inches(f"  {said}", SMALL)
    for at, text, side in ((0.0, fitted(who, room), "left"), (1.0, said, "right")):
        ax.annotate(
            text, (at, row - THICK / 2), xycoords=("axes fraction", "data"), xytext=(0, 1.5),
            textcoords="offset points", ha=side, va="bottom", fontsize=SMALL, color=ink,
        )  # fmt: skip


def limit(ax: Axes, row: int, at: float) -> None:
    """Mark on a bar where what there is ends."""
    for shade, width in (("white", 3.0), (ALERT, 1.4)):
        ax.plot([at, at], [row - 0.21, row + 0.21], color=shade, linewidth=width, solid_capstyle="butt")


def bars(ax: Axes, count: int) -> None:
    """Leave room for the bars and the lines over them, the first on top."""
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_ylim(count - 1 + 0.35, -0.35 - (1 - THICK))
