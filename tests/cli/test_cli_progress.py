"""What a terminal is told while something takes longer than two seconds; a pipe is told nothing."""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO
from threading import Event

import pytest

from mcusim.cli import progress


class Terminal(StringIO):
    """Takes what is written, and says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def test_what_takes_long_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Event()
    monkeypatch.setattr(progress, "SOON_S", 0.0)
    monkeypatch.setattr("rich.progress.Progress.start", lambda bar: shown.set())
    with redirect_stderr(Terminal()), progress.working("planning"):
        assert shown.wait(30)


def test_a_count_shows_how_much_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SOON_S", 0.0)
    with redirect_stderr(Terminal()) as terminal, progress.counting("answering") as tell:
        tell(3, 10)
        tell(7, 10)
    assert "answering" in terminal.getvalue()
    assert "/10" in terminal.getvalue()


def test_what_is_soon_done_says_nothing() -> None:
    with redirect_stderr(Terminal()) as terminal:
        with progress.working("planning"):
            pass
        with progress.counting("answering") as tell:
            tell(10, 10)
    assert "planning" not in terminal.getvalue()
    assert "answering" not in terminal.getvalue()


def test_a_pipe_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SOON_S", 0.0)
    pipe = StringIO()
    with redirect_stderr(pipe), progress.working("planning"), progress.counting("answering") as tell:
        tell(1, 2)
    assert pipe.getvalue() == ""
