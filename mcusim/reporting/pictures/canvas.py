"""What all pictures share: their size, their inks, and how they become files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcusim.core.errors import BadArgument, MissingPackage
from mcusim.core.files import replacing
from mcusim.core.vocabulary import Role
from mcusim.sections.colors import INK, ROLE_COLORS, color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH = 7.2
"""Inches: the text of a page; both columns of most papers."""
FONT = 8
"""Points, at that width: what captions are set in."""
SMALL = 7
DPI = 220
"""Of pictures made of pixels: printers want 200 and more."""
KIB = 1024
FORMATS = (".png", ".svg", ".pdf")
SERIES = tuple(
    (ROLE_COLORS[role], mark)
    for role, mark in (
        (Role.INPUT, "o"), (Role.FEATURE, "s"), (Role.WEIGHT, "^"), (Role.SCRATCH, "D"),
        (Role.OPTIMIZER, "v"), (Role.RUNTIME, "P"),
    )
)  # fmt: skip
"""Colour and mark of things that are no roles: told apart in black and white too."""


def canvas(height: float, columns: int = 1, *, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a new figure of so many inches and its axes, from left to right and down.

    Raises:
        MissingPackage: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackage("matplotlib", "plotting", "plot") from error
    # Not of pyplot: nothing of the caller's figures or backend is touched, and nothing stays open.
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        plain(ax)
    return figure, list(axes)


def plain(ax: Axes) -> None:
    """Leave of the frame what is needed, in the ink of the text."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(INK)
    ax.tick_params(colors=INK, labelsize=SMALL)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set_color(INK)
        label.set_fontsize(FONT)


def inches(ax: Axes) -> float:
    """Return about how wide axes are."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return float(ax.get_position().width * figure.get_size_inches()[0])


def titled(ax: Axes, title: str) -> None:
    """Write what is seen above it, on as many lines as it takes."""
    from textwrap import wrap

    lines = wrap(title, max(24, int(inches(ax) * 14)))
    ax.set_title("\n".join(lines), loc="left", color=INK, fontsize=FONT, pad=6)


def grouped(*axes: Axis) -> None:
    """Write the numbers of these axes whole, their thousands apart."""
    for axis in axes:
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def beside(count: int) -> float:
    """Return the inches a picture is high at least, with a legend of so many names beside it."""
    return 0.5 + 0.152 * count


def shortened(name: str, most: int = 26) -> str:
    """Return a name with its middle left out: the ends tell ops apart."""
    half = most // 2 - 1
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


def legend(ax: Axes, names: Iterable[str] | Mapping[str, str]) -> None:
    """Name the colours of roles beside the picture, the topmost first; or those that are given by name."""
    from matplotlib.patches import Patch

    shades = dict(names) if isinstance(names, Mapping) else {name: color(name) for name in names}
    ax.legend(
        handles=[Patch(facecolor=shade, label=name) for name, shade in reversed(list(shades.items()))],
        loc="upper left", bbox_to_anchor=(1.005, 1), frameon=False, fontsize=SMALL, labelcolor=INK,
        handlelength=1.1, handleheight=1.1, borderaxespad=0.0,
    )  # fmt: skip


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF, whole or not at all; the same figure gives the same bytes.

    Raises:
        BadArgument: for another suffix.
        SaveFailed: if it cannot be written.
    """
    from matplotlib import rc_context

    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise BadArgument(
            f"picture {path}", f"ends in {suffix or 'no suffix'}", f"end it in {', '.join(FORMATS)}"
        )
    dated: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with rc_context({"svg.hashsalt": "mcusim", "svg.fonttype": "none"}), replacing(path) as file:
        figure.savefig(file, format=suffix[1:], dpi=DPI, metadata=dated.get(suffix))
