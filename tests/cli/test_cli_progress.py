"""What a terminal is told while something takes longer than two seconds; a pipe is told nothing."""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO
from threading import Event
from time import sleep

import pytest
from networks import small_network

import mcusim
from mcusim.cli import progress
from mcusim.core import Work
from mcusim.core.counted import counted, hearing, tell
from mcusim.mcu.cycles.measurement import Measurement


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


def test_work_that_goes_through_a_loop_shows_how_much_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of loops within loops the outer one is shown; whoever works knows nothing of terminals."""
    monkeypatch.setattr(progress, "SOON_S", 0.0)
    with redirect_stderr(Terminal()) as terminal, progress.working("planning", at_most_s=60):
        for _ in counted(range(3)):
            for _ in counted(range(7)):
                sleep(0.08)
    said = terminal.getvalue()
    assert "planning (at most 60 s)" in said
    assert "/3" in said
    assert "a second" in said
    assert "/7" not in said


def test_loops_are_heard_one_at_a_time_and_end_with_all() -> None:
    heard: list[tuple[int, int | None]] = []
    with hearing(lambda done, total: heard.append((done, total))):
        assert list(counted([5, 6])) == [5, 6]
        assert list(counted(iter([7]))) == [7]
        for _ in counted(range(2)):
            tell(1, 9)
            break
        tell(1, 9)
    assert heard == [(0, 2), (1, 2), (2, 2), (0, None), (1, None), (0, 2), (1, 9)]
    assert list(counted([1])) == [1]


def test_planning_fitting_and_evaluating_are_counted() -> None:
    """What takes long says how much of it is done: a bar can be drawn of it."""
    heard: list[tuple[int, int | None]] = []
    network, boards = small_network(), ["nrf52840", "rp2040"]
    with hearing(lambda done, total: heard.append((done, total))):
        mcusim.compare(network, boards, ["head", "last-2"])
    assert heard[-1] == (4, 4)
    rows = [
        Measurement(f"{i}", f"{i}", "", "cortex-m4", (Work("conv", macs=100 * i),), 300.0 * i)
        for i in (1, 2, 4)
    ]
    with hearing(lambda done, total: heard.append((done, total))):
        mcusim.calibrate(rows, name="x", core="cortex-m4", library="x", data="x", command="x")
    assert heard[-1] == (3, 3)


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
