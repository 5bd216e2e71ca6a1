"""The boundary behind every reader: what it did not foresee becomes the error for that file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mcusim.core.errors import McusimError, shortened

LONGEST = 200
"""Characters of a foreign error that are shown."""


@contextmanager
def reading(thing: str | Path, kind: type[McusimError], way_out: str) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into an error that names it.

    A file can be wrong in more ways than its reader thinks of, and a person needs one line in any case; the
    cause is kept (``mcusim --debug`` shows it).

    Args:
        thing: the file.
        kind: the error for such a file, which takes thing, reason and way out.
        way_out: what to do about it.

    Raises:
        McusimError: as it was raised, or of ``kind``.
    """
    try:
        yield
    except McusimError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        else:
            reason = f"{type(error).__name__}: {shortened(str(error), LONGEST)}"
        raise kind(str(thing), f"cannot be read: {reason}", way_out) from error
