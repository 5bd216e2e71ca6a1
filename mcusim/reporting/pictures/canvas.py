"""What all pictures share: their size, their inks, and how they become files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mcusim.core.errors import BadArgument, MissingPackage
from mcusim.core.files import replacing
from mcusim.core.vocabulary import Role
from mcusim.sections.colors import INK, ROLE_COLORS, color

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

T = TypeVar("T")
WIDTH = 3.35
"""Inches: one column of a paper (85 mm)."""
FONT = 8
"""Points, at that width: what captions are set in."""
SMALL = 7
"""Points: the least that is read at ease; nothing is smaller."""
DPI = 300
"""Of pictures made of pixels: what printers want."""
SCREEN = 150
"""Dots an inch at which a notebook shows a picture: letters of 7 points are read on screens too."""
KIB = 1024
HOW: dict[Any, Any] = {
    "svg.hashsalt": "mcusim", "svg.fonttype": "none", "pdf.fonttype": 42, "text.parse_math": False,
}  # fmt: skip
"""Letters stay letters; PDF has them as TrueType, since publishers refuse
fonts of type 3. A dollar in a name is a dollar."""
FORMATS = (".png", ".svg", ".pdf")
SERIES = tuple(
    (ROLE_COLORS[role], mark)
    for role, mark in (
        (Role.INPUT, "o"), (Role.FEATURE, "s"), (Role.WEIGHT, "^"), (Role.SCRATCH, "D"),
        (Role.OPTIMIZER, "v"), (Role.RUNTIME, "P"),
    )
)  # fmt: skip
"""Colour and mark of things that are no roles: told apart in black and white too."""


def canvas(
    height: float, columns: int = 1, *, rows: int = 1, heights: Sequence[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """Return a new figure of so many inches and its axes, from left to right and down, rows as high as said.

    Raises:
        MissingPackage: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackage("matplotlib", "plotting", "plot") from error
    # Not of pyplot: nothing of the caller's figures or backend is touched, and nothing stays open.
    figure = Figure(figsize=(WIDTH, height), dpi=SCREEN, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, height_ratios=heights).ravel()
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


def inches(text: str, points: float) -> float:
    """Return how wide a line is when it is drawn."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    wide, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=points), ismath=False)
    return float(wide) / 72


def wide(ax: Axes) -> float:
    """Return about how many inches wide axes are."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return float(ax.get_position().width * figure.get_size_inches()[0])


def tall(ax: Axes) -> float:
    """Return about how many inches high axes are."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return float(ax.get_position().height * figure.get_size_inches()[1])


def wrapped(text: str, room: float, points: float = FONT) -> str:
    """Return a text on as many lines of so many inches as it takes; a word that is wider is shortened."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and inches(longer, points) <= room:
            lines[-1] = longer
        else:
            lines.append(fitted(word, room, points))
    return "\n".join(lines)


def titled(ax: Axes, title: str) -> None:
    """Write what is seen above it, on as many lines as it takes."""
    ax.set_title(wrapped(title, wide(ax)), loc="left", color=INK, fontsize=FONT, pad=4)


def headed(figure: Figure, title: str) -> None:
    """Write what a picture shows over its whole width."""
    figure.suptitle(wrapped(title, WIDTH - 0.2), x=0.015, ha="left", fontsize=FONT, color=INK)


def grouped(*axes: Axis) -> None:
    """Write the numbers of these axes whole, their thousands apart."""
    for axis in axes:
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def sparse(*axes: Axis, most: int = 5) -> None:
    """Leave room between the numbers of these axes: a column is narrow."""
    from matplotlib.ticker import MaxNLocator

    for axis in axes:
        axis.set_major_locator(MaxNLocator(most))


def shortened(name: str, most: int = 26) -> str:
    """Return a name with its middle left out: the ends tell ops apart."""
    half = most // 2 - 1
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


def fitted(name: str, room: float, points: float = SMALL) -> str:
    """Return a name with so much of its middle left out that it takes no more than so many inches."""
    short = name
    for most in range(len(name) - 1, 4, -1):
        if inches(short, points) <= room:
            break
        short = shortened(name, most)
    return short


def legend(figure: Figure, names: Iterable[str] | Mapping[str, str]) -> None:
    """Name the colours of roles below the picture; or those that are given by name."""
    from matplotlib.patches import Patch

    shades = dict(names) if isinstance(names, Mapping) else {name: color(name) for name in names}
    keys(figure, [Patch(facecolor=shade, label=name) for name, shade in shades.items()], handlelength=1.1)


def beside(ax: Axes, names: Iterable[str]) -> None:
    """Name the colours of roles beside axes that a person gave, the topmost first."""
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=color(name), label=name) for name in reversed(list(names))]
    ax.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.005, 1), frameon=False, fontsize=SMALL,
        labelcolor=INK, handlelength=1.1, handleheight=1.1, borderaxespad=0.0,
    )  # fmt: skip


def keys(figure: Figure, handles: Sequence[Artist], *, title: str = "", handlelength: float = 2.0) -> None:
    """Name what handles stand for below the picture, as many beside each other as there is room for."""
    names = [str(handle.get_label()) for handle in handles]
    if not names:
        return
    letter = SMALL / 72
    each = max(inches(name, SMALL) for name in names) + (handlelength + 0.6 + 1.2) * letter
    columns = max(1, min(len(names), int((WIDTH - 0.1) / each)))
    figure.legend(
        handles=by_row(list(handles), columns), loc="outside lower left", ncols=columns, frameon=False,
        fontsize=SMALL, labelcolor=INK, handlelength=handlelength, handleheight=0.9, handletextpad=0.6,
        columnspacing=1.2, borderaxespad=0.3, labelspacing=0.3, title=title or None,
        title_fontproperties={"size": SMALL}, alignment="left",
    )  # fmt: skip


def by_row(things: list[T], columns: int) -> list[T]:
    """Return things in the order in which a legend, which fills its columns, shows them row by row."""
    return [thing for column in range(columns) for thing in things[column::columns]]


def below(names: int, columns: int = 4) -> float:
    """Return the inches that a legend of so many names takes below a picture."""
    return 0.14 * -(-names // columns) + 0.08


def styled() -> AbstractContextManager[None]:
    """Return a block in which texts and files are made as `HOW` says.

    Raises:
        MissingPackage: if matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise MissingPackage("matplotlib", "plotting", "plot") from error
    return rc_context(HOW)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF, whole or not at all; the same figure gives the same bytes.

    Raises:
        BadArgument: for another suffix.
        SaveFailed: if it cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise BadArgument(
            f"picture {path}", f"ends in {suffix or 'no suffix'}", f"end it in {', '.join(FORMATS)}"
        )
    dated: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with styled(), replacing(path) as file:
        figure.savefig(file, format=suffix[1:], dpi=DPI, metadata=dated.get(suffix))
