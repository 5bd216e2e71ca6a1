"""The boundary behind every reader: what it did not foresee becomes the error for that file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar, cast

from mcusim.core.errors import McusimError
from mcusim.core.legible import shortened

F = TypeVar("F", bound=Callable[..., Any])
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


def reads(kind: type[McusimError], way_out: str) -> Callable[[F], F]:
    """Return a decorator that puts a function behind ``reading``; its first argument names what it reads.

    Of a class method that is the first argument after the class.
    """

    def wrap(function: F) -> F:
        @wraps(function)
        def read(path: Any, *arguments: Any, **options: Any) -> Any:
            with reading(arguments[0] if isinstance(path, type) else path, kind, way_out):
                return function(path, *arguments, **options)

        read.__signature__ = signature(function)  # type: ignore[attr-defined]
        return cast(F, read)

    return wrap
