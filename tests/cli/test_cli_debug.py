"""``--debug`` shows where an error comes from; without it there is one line."""

from __future__ import annotations

import pytest

BOARD = ("--board", "nrf52840")


@pytest.fixture
def bad(tmp_path):
    (tmp_path / "bad.tflite").write_bytes(b"\0\0\0\0TFL3" + bytes(100))
    return tmp_path / "bad.tflite"


@pytest.mark.parametrize("last", [True, False])
def test_debug_shows_the_traceback_wherever_it_stands(run, bad, last):
    words = ["plan", "--model", bad, *BOARD]
    result = run(*words, "--debug") if last else run("--debug", *words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Traceback")
    assert result.stderr.splitlines()[-1].startswith("error: bad.tflite: is written")


def test_without_it_there_is_one_line(refused, bad):
    assert "bad.tflite" in refused("plan", "--model", bad, *BOARD)


def test_what_no_reader_foresaw_is_one_line_and_debug_shows_its_cause(run, refused, bad, monkeypatch):
    def fails(path):
        raise LookupError("unheard of")

    monkeypatch.setattr("mcusim.files.tflite.reader.load_tflite", fails)
    assert "LookupError: unheard of" in refused("plan", "--model", bad, *BOARD)
    said = run("plan", "--model", bad, *BOARD, "--debug").stderr
    assert "in fails" in said
    assert "direct cause" in said


def test_what_does_not_fit_can_be_debugged_too(run):
    result = run("train", "-m", "synthetic-mbv2", *BOARD, "--data", "synthetic", "--sram", "24KiB", "--debug")
    assert result.exit_code == 3
    assert "OutOfSram" in result.stderr
