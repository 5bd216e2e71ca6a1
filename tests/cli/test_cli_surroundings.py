"""The command line among other things: downloads, terminals, interruptions, the real networks."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mcusim.files.registry import Download

DATA = os.environ.get("MCUSIM_DATA")
BOARD = ("--board", "nrf52840")


def offer(monkeypatch: pytest.MonkeyPatch, content: bytes, arriving: bytes) -> None:
    entry = Download(
        what="a file", url="https://example.org/file", file="models/file.npz", licence="none",
        sha256=hashlib.sha256(content).hexdigest(), bytes=len(content),
    )  # fmt: skip
    monkeypatch.setattr("mcusim.files.fetch.entry", lambda name: entry)
    monkeypatch.setattr("mcusim.files.fetch._open", lambda url, start: io.BytesIO(arriving))


def test_fetch(run, answer, monkeypatch):
    offer(monkeypatch, b"content", b"content")
    path = Path(answer("fetch", "file")["path"])
    assert path.read_bytes() == b"content"
    assert run("fetch", "file").stdout == f"{path}\n"


def test_fetch_leaves_nothing_behind_but_what_another_try_goes_on_from(refused, run, monkeypatch):
    for arriving, says in ((b"cont", "ended after 4 of 7"), (b"CONTENT", "SHA-256")):
        offer(monkeypatch, b"content", arriving)
        assert says in refused("fetch", "file")
        kept = [p for p in Path(os.environ["XDG_CACHE_HOME"]).rglob("*") if p.is_file()]
        assert [p.suffix for p in kept] == ([".part"] if arriving == b"cont" else [])
    offer(monkeypatch, b"content", b"content")
    assert run("fetch", "file").exit_code == 0


def test_interruption(run, model: Path, images: Path, monkeypatch):
    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mcusim.session.session.Session.train", stop)
    result = run("train", "--model", model, *BOARD, "--data", images)
    assert result.exit_code == 130
    assert "--resume" in result.stderr


def test_termination(run, model: Path, images: Path, monkeypatch):
    def stop(*arguments: object, **options: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("mcusim.session.session.Session.train", stop)
    result = run("train", "--model", model, *BOARD, "--data", images)
    assert result.exit_code == 143
    assert "--resume" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_a_terminal_gets_a_progress_bar(model: Path, images: Path):
    import pty

    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "mcusim", "train", "--model", model, *BOARD, "--data", images]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=theirs, stdin=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # what reading a pseudo-terminal ends with
            while part := os.read(mine, 4096):
                shown += part
        assert process.stdout is not None
        assert b"accuracy" in process.stdout.read()
    os.close(mine)
    assert process.returncode == 0
    for word in (b"evaluating", b"epoch 1/1", b"accuracy"):
        assert word in shown


@pytest.mark.data
@pytest.mark.skipif(not DATA, reason="MCUSIM_DATA does not name a folder with the real models and data")
def test_the_published_network(answer, monkeypatch):
    monkeypatch.setenv("MCUSIM_DATA", str(DATA))
    arguments = ("--model", "mbv2-w0.35", "--classes", "10", "--board", "stm32f746", "--sram", "256KiB")
    found = answer("plan", *arguments, "--no-suggest", "--update", "dynamic")
    assert found["fits"] is True
    assert found["sram"]["peak_bytes"] <= 262_144
    assert found["sram"]["by_role"]["runtime"] > 0
    assert found["features"]["dense_bytes"] == 961_664
    assert found["weights"]["conv_total"] == 238_688
    assert 0 < found["weights"]["updated"] <= 4_773
    head = answer("plan", *arguments, "--no-suggest", "--update", "head", "--patches", "off")
    assert head["sram"]["by_role"]["activation"] == 196_608
