"""One process a folder, no run over another, and signals that leave a run to resume."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest
from test_session_folder import content
from test_session_training import session, tiny_data

from mcusim.core import BadRun
from mcusim.core.stopping import Terminated
from mcusim.session.checkpoint import read_checkpoint
from mcusim.session.folder import LOCK, run_folder


@pytest.fixture(autouse=True)
def interruptible():
    """Take SIGINT as in a shell in front; what a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_folder_that_holds_a_run_is_not_written_over(tmp_path):
    out = tmp_path / "run"
    session().train(tiny_data(12), out=out, trace="all")
    (out / "notes.txt").write_text("mine")
    before = content(out)
    with pytest.raises(BadRun, match=r"holds a run.*resume it, overwrite it"):
        session(seed=1).train(tiny_data(12), out=out)
    assert content(out) == before
    (out / "model.npz").unlink()
    (out / "checkpoint.npz").unlink()
    with pytest.raises(BadRun, match="holds a run"):
        session(seed=1).train(tiny_data(12), out=out)
    session(seed=1).train(tiny_data(12), out=out, overwrite=True)
    session(seed=1).train(tiny_data(12), out=tmp_path / "fresh")
    assert content(out) == content(tmp_path / "fresh")
    assert (out / "notes.txt").read_text() == "mine"


def test_a_second_training_in_a_folder_is_told_who_holds_it(tmp_path):
    out = tmp_path / "run"

    def second(counts):
        with pytest.raises(
            BadRun, match=rf"in use by process {os.getpid()} since \d{{4}}-\d\d-\d\d \d\d:\d\d"
        ):
            session().train(tiny_data(12), out=out, overwrite=True)

    assert session().train(tiny_data(12), out=out, progress=second).steps == 12
    assert not (out / LOCK).exists()


HOLDER = """
import sys, time
from pathlib import Path
from mcusim.session.folder import run_folder
with run_folder(Path(sys.argv[1]), resume=False, overwrite=False):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_lock_of_a_killed_process_does_not_count(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BadRun, match=f"process {holder.pid} "):
            run_folder(tmp_path, resume=False, overwrite=True).__enter__()
        holder.kill()
    assert (tmp_path / LOCK).exists()
    with run_folder(tmp_path, resume=False, overwrite=False):
        assert (tmp_path / LOCK).exists()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_was_writing_is_removed(tmp_path):
    out = tmp_path / "run"
    session().train(tiny_data(12), out=out)
    (out / ".checkpoint.npz.abc.part").write_bytes(b"half")
    session().train(tiny_data(12), out=out, resume=True)
    assert not list(out.glob(".*"))


@pytest.mark.parametrize(("number", "raised"), [("SIGINT", KeyboardInterrupt), ("SIGTERM", Terminated)])
@pytest.mark.parametrize("at", [7, 60, 100])
def test_a_signal_leaves_a_checkpoint_of_its_step(tmp_path, monkeypatch, number, raised, at):
    out, whole = tmp_path / "run", tmp_path / "whole"
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("mcusim.session.training.BLOCK", 1)

    def send(counts):
        if counts["step"] == at and counts["position"]:
            os.kill(os.getpid(), getattr(signal, number))

    with pytest.raises(raised):
        session().train(tiny_data(), epochs=2, out=out, trace="all", progress=send)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert read_checkpoint(out / "checkpoint.npz")[1]["iteration"] == at
    assert {p.name for p in out.iterdir()} == {"checkpoint.npz", "trace.parquet.part", "history.csv"}
    session().train(tiny_data(), epochs=2, out=out, trace="all", resume=True)
    session().train(tiny_data(), epochs=2, out=whole, trace="all")
    assert content(out) == content(whole)


def test_a_second_signal_is_obeyed_at_once(tmp_path):
    sent = []

    def send(counts):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            sent.append(counts["step"])

    with pytest.raises(KeyboardInterrupt):
        session().train(tiny_data(12), out=tmp_path, progress=send)
    assert len(sent) < 2


def test_signals_are_left_alone_in_another_thread(tmp_path):
    runs = []
    thread = threading.Thread(target=lambda: runs.append(session().train(tiny_data(12), out=tmp_path)))
    thread.start()
    thread.join()
    assert runs[0].steps == 12


def test_the_exit_code_of_terminated_is_143():
    code = "from mcusim.core.stopping import leave; import signal; leave(signal.SIGTERM)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 143
