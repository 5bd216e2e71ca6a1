"""A training that dies at any call to the file system, one after the other, resumes to the same bits."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_session_training import session, tiny_data

from mcusim.session.checkpoint import read_checkpoint
from mcusim.session.run import RESULTS

CALLS = {"open", "os.remove", "os.rename", "os.mkdir", "os.chmod", "os.truncate", "os.utime", "os.scandir"}


class Died(BaseException):
    """No cleaning up: from here on every further call to the file system dies as well."""


class Death:
    """Comes at the n-th call that concerns a folder; Python's audit hooks see every one of them but fsync."""

    def __init__(self) -> None:
        self.folder, self.at, self.seen = "", -1, 0
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder and event in CALLS and str(arguments[0]).startswith(self.folder):
            self.call()

    def call(self) -> None:
        if self.folder:
            self.seen += 1
            if 0 <= self.at < self.seen:
                raise Died

    def count(self, folder: Path, at: int, work: Any) -> int:
        """Do the work, which dies after ``at`` calls; return how many there were."""
        self.folder, self.at, self.seen = str(folder), at, 0
        try:
            work()
        except Died:
            pass
        finally:
            self.folder = ""
        gc.collect()  # a process that dies closes its files
        return self.seen


@pytest.fixture(scope="module")
def death() -> Death:
    return Death()


def state(folder: Path) -> tuple[dict[str, bytes], dict[str, Any], dict[str, Any]]:
    names = {path.name for path in folder.iterdir()}
    assert names == {*RESULTS, "checkpoint.npz"}
    arrays, meta = read_checkpoint(folder / "checkpoint.npz")
    # A journal that was continued holds some blocks twice; how long it was is of no use once it is a trace.
    length = meta["progress"].pop("trace_position")
    meta["events"] = length and length[1]
    return {name: (folder / name).read_bytes() for name in RESULTS}, arrays, meta


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize(("trace", "warm"), [("first", False), ("all", True)])
def test_death_at_every_call_to_the_file_system(tmp_path, monkeypatch, death, trace, warm):
    monkeypatch.setattr("mcusim.session.training.CHECKPOINT_STEPS", 4)
    fsync = os.fsync

    def synced(handle: int) -> None:
        death.call()
        fsync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    place = tmp_path / "place"
    out, cache = place / "run", place / "cache"
    monkeypatch.setattr("mcusim.session.features.cache_dir", lambda: cache)
    training, data = session("last-2"), tiny_data(6)

    def train() -> None:
        resume = (out / "checkpoint.npz").exists()
        training.train(data, epochs=1, out=out, trace=trace, resume=resume)

    place.mkdir()
    train()
    expected = state(out)
    shutil.rmtree(out)
    if not warm:
        shutil.rmtree(cache)
    calls = death.count(place, -1, train)
    assert calls > 50
    for at in range(calls):
        shutil.rmtree(out)
        if not warm:
            shutil.rmtree(cache)
        assert death.count(place, at, train) > at
        train()  # as a person would: with resume where there is a checkpoint
        found = state(out)
        assert found[0] == expected[0], at
        assert found[2] == expected[2], at
        assert all(np.array_equal(found[1][name], array) for name, array in expected[1].items()), at
