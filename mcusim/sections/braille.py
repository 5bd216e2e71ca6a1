"""Curves in a terminal: two by four dots a character."""

from __future__ import annotations

from collections.abc import Sequence

BASE = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot of a character, by row and column."""


def plotted(values: Sequence[float], width: int, height: int) -> list[str]:
    """Return a curve as ``height`` lines of ``width`` characters, the largest value on top."""
    columns, rows = 2 * width, 4 * height
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    cells = [[0] * width for _ in range(height)]
    before: int | None = None
    for x in range(columns):
        value = values[min(len(values) - 1, x * len(values) // columns)]
        y = round((rows - 1) * (1 - (value - low) / span))
        first, last = (y, y) if before is None else (min(before, y), max(before, y))
        for row in range(first, last + 1):
            cells[row // 4][x // 2] |= DOTS[row % 4][x % 2]
        before = y
    return ["".join(chr(BASE + bits) for bits in line) for line in cells]
