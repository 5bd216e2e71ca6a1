"""Whom a text speaks to: somebody who calls Python, or somebody at a command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_options: ContextVar[bool] = ContextVar("options", default=False)


def in_options() -> bool:
    """Return True where settings are to be written as options of the command line, not as arguments."""
    return _options.get()


def choice(name: str, value: object = "…") -> str:
    """Return how one writes a choice: ``--classes 10``, or ``classes=10`` where Python is spoken."""
    if in_options():
        return f"--{name.replace('_', '-')} {value}"
    return f"{name}={value!r}" if isinstance(value, str) and value != "…" else f"{name}={value}"


@contextmanager
def speaking_in_options() -> Iterator[None]:
    """Write settings as options of the command line until the end of the block."""
    token = _options.set(True)
    try:
        yield
    finally:
        _options.reset(token)
