"""Lines of a given width: breaks between words, in long names after a sign, never inside a number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_SPACE: Final = re.compile(r"(?<!\d) +|(?<=\d) +(?![A-Za-zµ]{1,2}\b)")
"""Not between a number and its unit."""
_SEAM: Final = re.compile(r"(?<=[,:;/_.|+-])(?!\d|$)|(?<=[:/_])(?=\d)|(?<=[a-df-zA-Z\d]-)(?=\d)")
"""Places inside a word where it may break."""


def pieces(text: str) -> list[str]:
    """Return what of a text should stay in one line."""
    return [piece for word in _SPACE.split(text) for piece in _SEAM.split(word)]


def wrap(text: str, width: int) -> list[str]:
    """Return the lines of a text; longer than ``width`` only where a number or a sign-less name is."""
    return [line for paragraph in text.splitlines() or [""] for line in _wrap(paragraph, width)]


def _wrap(text: str, width: int) -> Iterator[str]:
    line = ""
    for word in _SPACE.split(text):
        if line and len(line) + 1 + len(word) <= width:
            line += " " + word
            continue
        if line:
            yield line
        *full, line = _fold(word, width)
        yield from full
    yield line


def _fold(word: str, width: int) -> list[str]:
    """Return a word in parts that fit, if it has seams."""
    if len(word) <= width:
        return [word]
    parts = [""]
    for piece in _SEAM.split(word):
        if parts[-1] and len(parts[-1]) + len(piece) > width:
            parts.append("")
        parts[-1] += piece
    return parts
