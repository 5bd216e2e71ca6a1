"""Reading TOML files from strangers: bounded, and whatever is wrong in one line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from mcusim.core.errors import McusimError

LARGEST_FILE = 1 << 20
"""Bytes; what people write by hand is a few kilobytes."""


def read_toml(path: Path, kind: type[McusimError], thing: str = "") -> dict[str, Any]:
    """Return the tables of a TOML file.

    Args:
        path: the file.
        kind: the error for such a file, which takes thing, reason and way out.
        thing: how an error names it; the path if empty.

    Raises:
        McusimError: of that kind, if the file is missing, absurdly large, not text, or not TOML.
    """
    thing = thing or str(path)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise kind(thing, "is too large for what people write by hand", "is this the right file?")
        return tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise kind(thing, f"cannot be read: {error.strerror or error}", "check the path") from error
    except UnicodeDecodeError as error:
        raise kind(thing, "is not a text file", "TOML is written in UTF-8") from error
    except ValueError as error:  # numbers of a thousand digits and impossible dates too
        if isinstance(error, McusimError):
            raise
        raise kind(thing, f"is not TOML: {error}", "correct that line") from error
    except RecursionError as error:
        raise kind(thing, "is nested too deep", "is this the right file?") from error
