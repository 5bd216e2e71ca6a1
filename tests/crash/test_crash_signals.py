"""Trainings that are killed, terminated and interrupted at random moments end with the bits of an undisturbed
one.

Short here, with processes that start from nothing; by command
``python tests/crash/test_crash_signals.py [--kill 20] [--term 5] [--int 5] [--rounds 10] [--record]``, with
forks of a process that has compiled everything. What they ended with is recorded in ``outcomes.csv``.
The deaths at every single call to the file system are in ``tests/session/test_session_crash.py``.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import multiprocessing
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from time import monotonic
from typing import Protocol

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "session")]

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from networks import small_network  # noqa: E402
from test_session_training import tiny_data  # noqa: E402

from mcusim.files.npz import save  # noqa: E402
from mcusim.session.checkpoint import FILE, read_checkpoint  # noqa: E402
from mcusim.session.run import RESULTS  # noqa: E402

EPOCHS = 12
COMMAND = [
    "mcusim", "train", "--board", "nrf52840", "--update", "last-2", "--trace", "all", "--epochs", str(EPOCHS),
]  # fmt: skip
OUTCOMES = Path(__file__).with_name("outcomes.csv")
"""What the signals of the long form ended trainings with."""
EXITS = {signal.SIGKILL: {-signal.SIGKILL}, signal.SIGTERM: {143}, signal.SIGINT: {130}}
"""What a shell sees of a training that a signal ended."""
# Before the program listens, a signal ends it as it ends any process.
EARLY = {signal.SIGKILL: set(), signal.SIGTERM: {-signal.SIGTERM}, signal.SIGINT: {-signal.SIGINT, 1}}


class Started(Protocol):
    """A training that goes on in another process."""

    pid: int | None

    def ends(self, seconds: float | None = None) -> int | None:
        """Return its exit code as soon as it ends, ``None`` if it does not in time."""

    def said(self) -> str:
        """Return what it has written to stderr."""


class Cold:
    """A process that starts from nothing, as from a shell."""

    def __init__(self, words: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            preexec_fn=_hear,
        )  # fmt: skip
        self.pid: int | None = self._process.pid

    def ends(self, seconds: float | None = None) -> int | None:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def said(self) -> str:
        return self._process.communicate()[1]


class Warm:
    """A fork of this process, which has imported and compiled what a training needs."""

    def __init__(self, words: Sequence[str]) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = multiprocessing.get_context("fork").Process(target=self._run, args=(words,))
        self._process.start()
        self.pid = self._process.pid

    def _run(self, words: Sequence[str]) -> None:
        _hear()
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 1)
        os.dup2(self._errors.fileno(), 2)
        _train(words)

    def ends(self, seconds: float | None = None) -> int | None:
        self._process.join(seconds)
        return self._process.exitcode

    def said(self) -> str:
        with self._errors as file:
            file.seek(0)
            return file.read()


def _train(words: Sequence[str]) -> None:
    from mcusim.cli.main import main

    sys.argv = [*words]
    main()


class Trainings:
    """Starts a training in a folder and sends it signals, one after the other, until it comes to its end."""

    def __init__(self, place: Path, seed: int, start: Callable[[Sequence[str]], Started] = Cold) -> None:
        self.place, self.rng, self.start = place, random.Random(seed), start
        self.sent: Counter[tuple[int, int]] = Counter()
        """How many a signal has ended with an exit code."""
        save(small_network(), place / "net.npz")
        data = tiny_data()
        np.savez(place / "data.npz", train_images=data.train.images, train_labels=data.train.labels,
                 test_images=data.test.images, test_labels=data.test.labels)  # fmt: skip
        self.seconds = 0.0
        """What the last whole training took: other programs on the computer come and go."""
        self.expected = self.finished(place / "whole", [])

    def words(self, out: Path) -> list[str]:
        """Return the command of a training into a folder."""
        data = self.place / "data.npz"
        return [*COMMAND, "--model", str(self.place / "net.npz"), "--data", str(data), "--out", str(out)]

    def finished(self, out: Path, signals: list[int]) -> tuple[dict[str, bytes], dict[str, object]]:
        """Return what a training leaves that is hit by the signals on its way."""
        signals = [*signals]
        while True:
            resumed, began = (out / FILE).exists(), monotonic()
            process = self.start([*self.words(out), *(["--resume"] if resumed else [])])
            number = signals[-1] if signals else 0
            hit = bool(number) and process.ends(self.rng.uniform(0, self.seconds)) is None
            if hit:
                os.kill(process.pid, number)
            ended, said = process.ends(), process.said()
            if ended == 0:
                self.seconds = self.seconds if resumed else monotonic() - began
                if not signals:
                    break
                shutil.rmtree(out)  # it came to its end before the signal: another one
                continue
            assert hit, (ended, said)
            assert ended in EXITS[number] | EARLY[number], (ended, said)
            assert ended in EARLY[number] or "Traceback" not in said, said
            self.sent[number, ended] += 1
            signals.pop()
        arrays, meta = read_checkpoint(out / FILE)
        meta["progress"].pop("trace_position")  # a journal that was continued holds some blocks twice
        return {name: (out / name).read_bytes() for name in RESULTS}, {**meta, **arrays}

    def check(self, signals: list[int]) -> None:
        """Let one training meet signals, and compare."""
        out = self.place / "run"
        shutil.rmtree(out, ignore_errors=True)
        files, state = self.finished(out, signals)
        assert files == self.expected[0]
        assert {*state} == {*self.expected[1]}
        assert all(np.array_equal(state[name], value) for name, value in self.expected[1].items())
        assert {path.name for path in out.iterdir()} == {*RESULTS, FILE, "run.toml"}


def _hear() -> None:
    """Take SIGINT as in front of a shell: what a shell starts in the background ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_killed_terminated_and_interrupted_at_random(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    trainings = Trainings(tmp_path, 0)
    trainings.check([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    assert {number for number, _ in trainings.sent} == {signal.SIGKILL, signal.SIGTERM, signal.SIGINT}
    assert sum(trainings.sent.values()) == 3


def _record(trainings: Trainings, seed: int, checked: int) -> None:
    new = not OUTCOMES.exists()
    day = datetime.now(UTC).date().isoformat()
    with OUTCOMES.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(("seed", "trainings", "signal", "exit", "count", "python", "numpy", "day"))
        for (number, code), count in sorted(trainings.sent.items()):
            name = signal.Signals(number).name
            row = (seed, checked, name, code, count, platform.python_version(), np.__version__, day)
            writer.writerow(row)


def _round(trainings: Trainings, seed: int, numbers: list[int]) -> int:
    """Let trainings meet signals in an order of chance; return how many trainings there were."""
    trainings.rng = random.Random(seed)
    trainings.sent.clear()
    trainings.rng.shuffle(numbers)
    checked = 0
    while numbers:
        count = trainings.rng.randrange(1, 6)
        trainings.check(numbers[:count])
        numbers, checked = numbers[count:], checked + 1
    return checked


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, count in (("kill", 20), ("term", 5), ("int", 5), ("seed", 0), ("rounds", 10)):
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--record", action="store_true")
    given = vars(parser.parse_args())
    numbers = [*[signal.SIGKILL] * given["kill"], *[signal.SIGTERM] * given["term"]]
    numbers += [signal.SIGINT] * given["int"]
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CACHE_HOME"] = str(Path(place) / "cache")
        trainings = Trainings(Path(place), given["seed"], Warm)
        with contextlib.suppress(SystemExit), contextlib.redirect_stdout(StringIO()):
            _train(trainings.words(Path(place) / "first"))
        trainings.check([])
        for seed in range(given["seed"], given["seed"] + given["rounds"]):
            checked = _round(trainings, seed, [*numbers])
            ends = (
                f"{count} {signal.Signals(number).name} exit {code}"
                for (number, code), count in sorted(trainings.sent.items())
            )
            print(f"seed {seed}, {checked} trainings: {', '.join(ends)}", flush=True)
            if given["record"]:
                _record(trainings, seed, checked)
