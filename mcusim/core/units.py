"""Byte sizes as people write them, and as integers."""

from __future__ import annotations

import re

from mcusim.core.errors import BadArgument

_FACTORS = {
    "": 1, "b": 1,
    "k": 1024, "kb": 1024, "kib": 1024,
    "m": 1024**2, "mb": 1024**2, "mib": 1024**2,
}  # fmt: skip
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")


def parse_bytes(text: str | int) -> int:
    """Return a size in bytes from an integer or a text such as ``"256KiB"``.

    On microcontrollers a kilobyte has always been 1024 bytes, so ``KB`` and ``KiB``
    mean the same here: 256 KB is 262,144 bytes.

    Raises:
        BadArgument: if the text is no size, or not a positive whole number of bytes.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        value: float = text
    else:
        match = _SIZE.fullmatch(str(text))
        factor = _FACTORS.get(match[2].lower()) if match else None
        if match is None or factor is None:
            raise BadArgument(
                f"size {text!r}", "is not a number of bytes", "write it like 262144, 256KiB or 1.5MiB"
            )
        value = float(match[1]) * factor
    if value <= 0 or value != int(value) or value >= 2**63:
        raise BadArgument(
            f"size {text!r}", "is not a positive whole number of bytes", "write it like 262144 or 256KiB"
        )
    return int(value)


def format_bytes(count: int) -> str:
    """Return ``count`` bytes with thousands separators, as every table here prints it."""
    return f"{count:,} B"
