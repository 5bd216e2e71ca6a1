"""Pages and pictures that verbs serve and write beside what they print."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mcusim.reporting.live import Live

BOARD = ("--board", "nrf52840")
URL = re.compile(r"^live at http://127\.0\.0\.1:\d+/[\w-]{20,}/$", re.MULTILINE)


def test_a_training_says_where_it_is_seen_and_is_watched(
    run: Any, model: Path, images: Path, tmp_path: Path
) -> None:
    call = ("--model", model, *BOARD, "--data", images, "--out", tmp_path / "run")
    done = run("train", *map(str, call), "--live", "--html", str(tmp_path / "run.html"))
    assert done.exit_code == 0, done.output
    assert URL.search(done.stderr)
    assert "<h3>What is taken for what" in (tmp_path / "run.html").read_text("utf-8")
    watched = run("watch", str(tmp_path / "run"))
    assert "finished at epoch 1" in " ".join(watched.stdout.split())  # a long path may break the line
    done = run("report", str(tmp_path / "run"), "--out", str(tmp_path / "again.html"))
    assert done.exit_code == 0, done.output
    again = (tmp_path / "again.html").read_text("utf-8")
    assert "<h3>What is taken for what" in again
    done = run("watch", str(tmp_path))
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


def test_a_study_of_one_worker_is_seen_while_a_run_goes_on(
    run: Any, model: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks sees how far the run is, although the process that trains says nothing before its end."""
    base = f'model = "{model}"\nboard = "nrf52840"\ndata = "{images}"\ntraining = {{epochs = 40}}\n'
    (tmp_path / "study.toml").write_text(f"[base]\n{base}[axes]\nlr = [0.01]\n")
    pages: list[str] = []
    show = Live.show
    monkeypatch.setattr(Live, "due", lambda live: True)
    monkeypatch.setattr("mcusim.reporting.live.PAUSE_S", 0.05)
    monkeypatch.setattr(Live, "show", lambda live, text: (pages.append(text), show(live, text))[0])
    done = run("sweep", str(tmp_path / "study.toml"), "--out", str(tmp_path / "swept"), "--live")
    assert done.exit_code == 0, done.output
    going = [page for page in pages if '<section id="now"' in page]
    shares = {found for page in going for found in re.findall(r'<td class="n">([\d.]+%)</td>', page)}
    assert len(shares) > 2
    assert any('<polyline class="trend c0"' in page for page in going)
    assert '<section id="now"' not in pages[-1]


def test_a_study_is_seen_while_it_runs_and_after(run: Any, model: Path, images: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    base = f'model = "{model}"\nboard = "nrf52840"\ndata = "{images}"\n'
    (tmp_path / "study.toml").write_text(f"[base]\n{base}[axes]\nupdate = ['head']\nlr = [0.01, 0.1]\n")
    files = ("--html", tmp_path / "study.html", "--plot", tmp_path / "study.svg")
    call = ("sweep", tmp_path / "study.toml", "--out", tmp_path / "swept", "--live", *files)
    done = run(*map(str, call))
    assert done.exit_code == 0, done.output
    assert URL.search(done.stderr)
    assert (tmp_path / "study.svg").read_text("utf-8").startswith("<?xml")
    done = run("report", str(tmp_path / "swept"), "--out", str(tmp_path / "again.html"))
    assert done.exit_code == 0, done.output
    parts = [
        re.search(r'<section id="fronts".*?</section>', (tmp_path / name).read_text("utf-8"), re.DOTALL)
        for name in ("study.html", "again.html")
    ]
    assert parts[0] is not None
    assert parts[1] is not None
    assert parts[0][0] == parts[1][0]
