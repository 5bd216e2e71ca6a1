"""Trainings that are killed, terminated and interrupted at random moments end with the bits of an undisturbed
one.

Short here; by command ``python tests/crash/test_crash_signals.py [--kill 200] [--term 50] [--int 50]``.
The deaths at every single call to the file system are in ``tests/session/test_session_crash.py``.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import monotonic

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "session")]

import numpy as np  # noqa: E402
import pytest  # noqa: E402

from mcusim.session.checkpoint import FILE, read_checkpoint  # noqa: E402
from mcusim.session.run import RESULTS  # noqa: E402

EPOCHS = 12
COMMAND = [
    sys.executable, "-m", "mcusim", "train", "--board", "nrf52840", "--update", "last-2", "--trace", "all",
    "--epochs", str(EPOCHS),
]  # fmt: skip
EXITS = {signal.SIGKILL: {-signal.SIGKILL}, signal.SIGTERM: {143}, signal.SIGINT: {130}}
"""What a shell sees of a training that a signal ended."""
# Before the program listens, a signal ends it as it ends any process.
EARLY = {signal.SIGKILL: set(), signal.SIGTERM: {-signal.SIGTERM}, signal.SIGINT: {-signal.SIGINT, 1}}


class Trainings:
    """Starts a training in a folder and sends it signals, one after the other, until it comes to its end."""

    def __init__(self, place: Path, seed: int) -> None:
        from networks import small_network
        from test_session_training import tiny_data

        from mcusim.files.npz import save

        self.place, self.rng = place, random.Random(seed)
        self.sent: Counter[int] = Counter()
        save(small_network(), place / "net.npz")
        data = tiny_data()
        np.savez(place / "data.npz", train_images=data.train.images, train_labels=data.train.labels,
                 test_images=data.test.images, test_labels=data.test.labels)  # fmt: skip
        began = monotonic()
        self.expected = self.finished(place / "whole", [])
        self.seconds = monotonic() - began

    def finished(self, out: Path, signals: list[int]) -> tuple[dict[str, bytes], dict[str, object]]:
        """Return what a training leaves that is hit by the signals on its way."""
        signals = [*signals]
        while True:
            words = [
                *COMMAND,
                "--model",
                self.place / "net.npz",
                "--data",
                self.place / "data.npz",
                "--out",
                out,
            ]
            words += ["--resume"] if (out / FILE).exists() else []
            about = {**os.environ, "XDG_CACHE_HOME": str(self.place / "cache")}
            process = subprocess.Popen(
                [str(word) for word in words], env=about, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                text=True, restore_signals=True, preexec_fn=_hear,
            )  # fmt: skip
            number = signals[-1] if signals else 0
            if number:
                try:
                    process.wait(self.rng.uniform(0, self.seconds))
                except subprocess.TimeoutExpired:
                    process.send_signal(number)
                    signals.pop()
                    self.sent[number] += 1
            said = process.communicate()[1]
            if process.returncode == 0:
                if not signals:
                    break
                if not number:
                    raise AssertionError("no end")
                shutil.rmtree(out)  # it came to its end before the signal: another one
                continue
            assert process.returncode in EXITS[number] | EARLY[number], (process.returncode, said)
            assert process.returncode in EARLY[number] or "Traceback" not in said, said
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
def test_killed_terminated_and_interrupted_at_random(tmp_path: Path) -> None:
    trainings = Trainings(tmp_path, 0)
    trainings.check([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    assert trainings.sent == {signal.SIGKILL: 1, signal.SIGTERM: 1, signal.SIGINT: 1}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, count in (("kill", 200), ("term", 50), ("int", 50), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=count)
    given = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as place:
        trainings = Trainings(Path(place), given["seed"])
        numbers = (
            [signal.SIGKILL] * given["kill"]
            + [signal.SIGTERM] * given["term"]
            + [signal.SIGINT] * given["int"]
        )
        trainings.rng.shuffle(numbers)
        while numbers:
            count = trainings.rng.randrange(1, 6)
            trainings.check(numbers[:count])
            numbers = numbers[count:]
            print(f"{len(numbers)} to come", flush=True)
        print(", ".join(f"{count} {signal.Signals(number).name}" for number, count in trainings.sent.items()))
