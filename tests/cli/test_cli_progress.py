"""What a terminal is told while something takes longer than two seconds; a pipe is told nothing."""

from __future__ import annotations

import re
from contextlib import redirect_stderr
from importlib import import_module
from io import StringIO
from itertools import pairwise
from pathlib import Path
from threading import Event
from time import sleep

import pytest
from networks import small_network

import mcusim
from mcusim.cli import progress
from mcusim.cli.main import VERBS
from mcusim.core import Work
from mcusim.core.counted import counted, ends_within, hearing, tell
from mcusim.mcu.cycles.measurement import Measurement
from mcusim.memory.problem import Problem
from mcusim.memory.tilings import tiling


class Terminal(StringIO):
    """Takes what is written, and says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.parametrize("kernels", [0, 38])
def test_the_first_training_says_that_kernels_are_compiled(
    kernels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = (None, kernels)
    monkeypatch.setattr("mcusim.explore.installation.compiled_kernels", lambda: found)
    for stream in (Terminal(), StringIO()):
        with redirect_stderr(stream), progress.training_progress(lines=True):
            sleep(0.15)
        assert ("compiling kernels (once, up to a minute)" in stream.getvalue()) == (not kernels)
    with redirect_stderr(StringIO()) as pipe, progress.training_progress(lines=False):
        pass
    assert pipe.getvalue() == ""


def test_what_takes_long_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Event()
    monkeypatch.setattr(progress, "SOON_S", 0.0)
    monkeypatch.setattr("rich.progress.Progress.start", lambda bar: shown.set())
    with redirect_stderr(Terminal()), progress.working("planning"):
        assert shown.wait(30)


def test_work_that_goes_through_a_loop_shows_how_much_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of loops within loops the outer one is shown; whoever works knows nothing of terminals."""
    monkeypatch.setattr(progress, "SOON_S", 0.0)
    with redirect_stderr(Terminal()) as terminal, progress.working("planning", at_most_s=60):
        for _ in counted(range(3)):
            for _ in counted(range(7)):
                sleep(0.08)
    said = terminal.getvalue()
    assert "planning" in said
    assert " of 3, " in said
    assert "a second" in said
    assert "left" in said
    assert " of 7" not in said


def test_what_has_a_limit_says_how_long_it_may_still_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SOON_S", 0.0)
    with redirect_stderr(Terminal()) as terminal, progress.working("packing", at_most_s=59):
        sleep(0.15)
    assert "at most 0:59 left" in terminal.getvalue()
    with redirect_stderr(Terminal()) as terminal, progress.working("planning"):
        ends_within(600)
        sleep(0.15)
    assert "at most 10:00 left" in terminal.getvalue()


@pytest.mark.parametrize("planner", ["hill_climb", "branch_and_bound", "best"])
def test_planners_that_search_say_how_much_of_their_effort_is_spent(planner: str) -> None:
    heard: list[tuple[int, int | None]] = []
    # What fills its capacity to the byte is put together without a search.
    problem = Problem(tiling(120, 3).blocks[1:])
    with hearing(lambda done, total: heard.append((done, total))):
        mcusim.pack(problem.with_capacity(65_536), planner=planner, effort=60_000)
    assert len(heard) > 2
    for (before, whole), (after, still) in pairwise(heard):
        assert whole is not None
        assert 0 <= after <= (still or 0)
        assert after >= before or still != whole


def test_a_pipe_is_told_a_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PAUSE_S", 0.1)
    pipe = StringIO()
    with redirect_stderr(pipe), progress.working("planning", at_most_s=3600):
        tell(3, 12)
        sleep(0.25)
    first, *_ = pipe.getvalue().splitlines()
    assert re.fullmatch(r"planning: 3 of 12, [\d.]+ a second, about 0:00 left", first)


SOON_DONE = {"boards", "cache", "doctor", "export", "models", "profiles", "schemes", "show", "watch"}
"""They list, convert or show what is there."""


@pytest.mark.parametrize("verb", sorted(set(VERBS) - SOON_DONE))
def test_every_verb_that_may_take_long_says_what_goes_on(verb: str) -> None:
    source = Path(import_module(f"mcusim.cli.{verb}").__file__ or "").read_text("utf-8")
    assert re.search(r"\b(working|training_progress|study_table)\(", source)


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
    with redirect_stderr(Terminal()) as terminal, progress.working("planning"):
        tell(10, 10)
    assert "planning" not in terminal.getvalue()


def test_a_pipe_is_told_nothing_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SOON_S", 0.0)
    pipe = StringIO()
    with redirect_stderr(pipe), progress.working("planning"):
        tell(1, 2)
    assert pipe.getvalue() == ""
