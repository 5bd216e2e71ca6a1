"""Sections in a terminal: the text, with colours where there are some."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from mcusim.sections.kinds import Section
from mcusim.sections.layout import Style, layout

if TYPE_CHECKING:
    from rich.console import Console

STYLES: Final[dict[Style, str]] = {
    "": "", "title": "bold", "good": "bold green", "bad": "bold red", "label": "dim", "bar": "cyan",
}  # fmt: skip


def show(sections: Iterable[Section], console: Console) -> None:
    """Print sections as wide as the console is."""
    from rich.text import Text

    for line in layout(sections, console.width, console.encoding):
        parts = Text.assemble(*((part, STYLES[style]) for part, style in line))
        console.print(parts, soft_wrap=True, highlight=False)
