"""Sections as plain text."""

from __future__ import annotations

from collections.abc import Iterable

from mcusim.sections.kinds import Section
from mcusim.sections.layout import layout

WIDTH = 100
"""Columns where nothing says how many there are."""


def text(sections: Iterable[Section], width: int = WIDTH, encoding: str = "utf-8") -> str:
    """Return sections as lines of at most ``width`` characters, without a line break at the end."""
    lines = layout(sections, width, encoding)
    return "\n".join("".join(part for part, _ in line).rstrip() for line in lines)
