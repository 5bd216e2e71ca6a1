"""Telling interested code that memory was planned, without knowing who listens.

The pytest plugin listens, to hold a user's test to its SRAM budget. Observers belong to the
context (:mod:`contextvars`), so threads and async tasks do not hear of each other's plans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Footprint(Protocol):
    """A plan or a finished run, as far as observers need to know it."""

    @property
    def peak_bytes(self) -> int:
        """Highest SRAM address in use, all roles included."""
        ...

    @property
    def board_name(self) -> str:
        """The board it was made for."""
        ...

    def explain(self) -> object:
        """Return something whose ``str`` says what the peak is made of."""
        ...


Observer = Callable[[Footprint], None]

_observers: ContextVar[tuple[Observer, ...]] = ContextVar("mcusim_observers", default=())


@contextmanager
def observing(observer: Observer) -> Iterator[None]:
    """Call ``observer`` with every footprint that the block makes."""
    token = _observers.set((*_observers.get(), observer))
    try:
        yield
    finally:
        _observers.reset(token)


def notify(footprint: Footprint) -> None:
    """Tell every observer of this context; costs nothing when there is none."""
    for observer in _observers.get():
        observer(footprint)
