"""Characters that a stream cannot encode, in plain ones: an old code page must not end in a traceback."""

from __future__ import annotations

import codecs
from typing import Final, TextIO

PLAIN: Final = {
    "─": "-", "█": "#", "±": "+/-", "–": "-", "—": "-", "…": "...", "×": "x", "µ": "u", "μ": "u", "→": "->",
    "≤": "<=", "≥": ">=", "²": "2", "Σ": "sum", "·": ".", "’": "'", "▁": "_", "▂": "_", "▃": ".", "▄": "-",
    "▅": "-", "▆": "=", "▇": "#", "\u00a0": " ",
}  # fmt: skip
"""Spellings of what this package writes itself; anything else is escaped, so that nothing is lost."""

HANDLER: Final = "mcusim.plain"


def spelled(text: str, encoding: str) -> str:
    """Return a text in characters that ``encoding`` has."""
    if text.isascii():
        return text
    _register()
    return text.encode(encoding, HANDLER).decode(encoding)


def forgive(stream: TextIO) -> None:
    """Let a stream spell what it cannot encode, instead of raising ``UnicodeEncodeError``."""
    _register()
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors=HANDLER)


def _register() -> None:
    try:
        codecs.lookup_error(HANDLER)
    except LookupError:
        codecs.register_error(HANDLER, _plain)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    bad = error.object[error.start : error.end]
    return "".join(PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in bad), error.end
