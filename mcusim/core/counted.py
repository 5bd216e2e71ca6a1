"""How much of something long is done, told to whoever asked to hear it: a bar on a terminal, mostly.

Who does the work wraps what it goes through in ``counted`` and knows nothing of terminals; who shows it
listens with ``hearing``. Of loops within loops the outer one is heard. Listeners belong to the context
(:mod:`contextvars`), so threads do not hear of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")
Hear = Callable[[int, int | None], None]
"""Takes the number of things done, and of all; ``None`` where nobody knows."""
Ends = Callable[[float], None]
"""Takes the seconds after which what goes on ends by itself, at the latest."""


class _Listener:
    """Who hears, and whether a loop is heard already."""

    def __init__(self, hear: Hear, ends: Ends | None) -> None:
        self.hear, self.ends, self.busy = hear, ends, False


_listener: ContextVar[_Listener | None] = ContextVar("mcusim_listener", default=None)


@contextmanager
def hearing(hear: Hear, ends: Ends | None = None) -> Iterator[None]:
    """Call ``hear`` before the first thing of every loop that ``counted`` wraps, and after each.

    Args:
        hear: takes how much is done.
        ends: takes the limit of what has one, from ``ends_within``.
    """
    token = _listener.set(_Listener(hear, ends))
    try:
        yield
    finally:
        _listener.reset(token)


def tell(done: int, total: int | None) -> None:
    """Tell who hears how many things are done, where no loop does."""
    listener = _listener.get()
    if listener is not None and not listener.busy:
        listener.hear(done, total)


def ends_within(seconds: float) -> None:
    """Tell who hears that what begins now ends after so many seconds, where it can count nothing."""
    listener = _listener.get()
    if listener is not None and not listener.busy and listener.ends is not None:
        listener.ends(seconds)


def counted(items: Iterable[Item], total: int | None = None) -> Iterator[Item]:
    """Yield items, and tell who hears how many are done.

    Args:
        items: what is gone through.
        total: how many there are, where ``items`` cannot say.
    """
    listener = _listener.get()
    if listener is None or listener.busy:
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    listener.busy = True
    try:
        listener.hear(0, total)
        for done, item in enumerate(items, 1):
            yield item
            listener.hear(done, total)
    finally:
        listener.busy = False
