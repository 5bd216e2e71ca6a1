"""Being told to stop: a signal is noted, and obeyed where the work can be saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_TERMINATED = 128 + signal.SIGTERM
"""What a shell reports of a process that ended by SIGTERM."""


class Terminated(SystemExit):
    """SIGTERM, as ``KeyboardInterrupt`` is SIGINT; a program that does not catch it exits with code 143."""

    def __init__(self) -> None:
        super().__init__(EXIT_TERMINATED)


def leave(number: int) -> None:
    """Raise what a signal stands for."""
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


@contextmanager
def obeying(handle: Callable[[int], None], *numbers: signal.Signals) -> Iterator[None]:
    """Call ``handle`` for signals while the block runs.

    Only the main thread can change what a signal does; elsewhere nothing changes. A signal that the process
    was started to ignore stays ignored.
    """

    def called(number: int, _: FrameType | None) -> None:
        handle(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    heard = [number for number, old in before.items() if old is not signal.SIG_IGN and old is not None]
    try:
        for number in heard:
            signal.signal(number, called)
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


class Stop:
    """Notes the first SIGINT or SIGTERM, so that a step is not torn; the second is obeyed where it comes.

    Attributes:
        asked: the signal, once one came.
    """

    def __init__(self) -> None:
        self.asked: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the two signals while the block runs."""
        with obeying(self._note, signal.SIGINT, signal.SIGTERM):
            yield

    def _note(self, number: int) -> None:
        if self.asked is not None:
            leave(number)
        self.asked = number

    def obey(self) -> None:
        """Raise ``KeyboardInterrupt`` or ``Terminated`` if one came."""
        if self.asked is not None:
            leave(self.asked)
