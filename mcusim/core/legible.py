"""Text out of files as people can read it: names may be as long as the file and hold anything."""

from __future__ import annotations

import re
from typing import Final

LONGEST_NAME: Final = 100
"""Characters of a name that a message shows."""
LONGEST_WORD: Final = 80
"""Characters of a word in a table or a sentence; a path or an address is shown whole."""

_LONG: Final = re.compile(rf"(?<!\S)(?!(?:[A-Za-z]:|~|\.\.?)?[\\/]|[a-z+]+://)\S{{{LONGEST_WORD + 1},}}")
_KEPT: Final = "\n\u00a0"


def escaped(text: str, kept: str = "") -> str:
    """Return a text without what would control a terminal or turn its direction; ``kept`` stays."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)


def shortened(text: str, longest: int = LONGEST_NAME) -> str:
    """Return a text with control characters escaped and, if it is too long, its middle left out."""
    text = escaped(text)
    if len(text) <= longest:
        return text
    head = (longest - 3) // 2
    return f"{text[:head]}...{text[head + 3 - longest :]}"


def legible(text: str) -> str:
    """Return a text of several words and lines with control characters escaped and long words short."""
    text = escaped(text, _KEPT)
    return text if len(text) <= LONGEST_WORD else _LONG.sub(lambda m: shortened(m[0], LONGEST_WORD), text)
