"""What is shown while something runs: a page nobody else can ask for, curves in a terminal, scalars."""

from __future__ import annotations

import http.client
import re
import shutil
import sys
from contextlib import closing
from threading import Thread
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from reporting_browser import seen

import mcusim
from mcusim.core import MissingPackage
from mcusim.reporting.live import Live
from mcusim.reporting.live_training import LiveTraining
from mcusim.reporting.scalars import Scalars
from mcusim.sections.braille import plotted


def asked(url: str, method: str = "GET", path: str | None = None, host: str | None = None) -> tuple[int, str]:
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    with closing(line):
        line.request(method, path or parts.path, headers={} if host is None else {"Host": host})
        answer = line.getresponse()
        return answer.status, answer.read().decode()


def counts(run, rows: int):
    """Return what the training of a run reported when so many rows of its history were there."""
    epoch = run.curve[rows - 1]["epoch"]
    return {"epoch": int(epoch), "position": round(epoch % 1 * 60), "per_epoch": 60, "epochs": 2,
            "step": run.curve[rows - 1]["steps"], "metric": run.metric, "train": 0.5,
            "rows": run.curve[:rows]}  # fmt: skip


def test_only_who_knows_the_address_reads_and_nobody_writes():
    with Live("one") as live:
        place = urlsplit(live.url)
        assert place.hostname == "127.0.0.1"
        assert not live.due()  # nobody looks
        assert asked(live.url) == (200, "one")
        live.show("two")
        assert asked(live.url) == (200, "two")
        for path in ("/", "/x/", place.path[:-1], place.path + "run.json", "/../"):
            assert asked(live.url, path=path)[0] == 404, path
        assert asked(live.url, host="a.page.elsewhere")[0] == 404
        assert asked(live.url, host=f"localhost:{place.port}")[0] == 200
        for method in ("POST", "PUT", "DELETE"):
            assert asked(live.url, method=method)[0] == 501
    with pytest.raises(OSError):
        asked(live.url)
    with Live("other") as other:
        assert urlsplit(other.url).path != place.path


def test_an_open_page_draws_what_came_since(trained, tmp_path):
    run, _ = trained
    drawing = LiveTraining(run.plan)
    first, second = drawing.page(), drawing.page(counts(run, len(run.curve)))
    assert "No step is done yet" in first
    assert second.count("<figure class=") == 5
    with Live(first) as live:

        def goes_on() -> None:
            live._fetched.wait(60)
            live.show(second)

        Thread(target=goes_on, daemon=True).start()
        dom = seen(live.url, tmp_path, budget=8000)
    part = dom[dom.index('<section id="training"') :].partition("</section>")[0]
    assert part.count("<figure class=") == 5
    assert "epoch 2.00 of 2" in dom


def test_a_run_is_watched_from_its_first_row_to_its_end(trained, tmp_path):
    run, _ = trained
    found = mcusim.watch(run.out)
    assert found.finished
    assert found.standing == "finished at epoch 2, step 120"
    names = [curve.name for curve in found.curves()]
    assert names == ["loss", "train accuracy", "test accuracy", "learning rate", "saturations", "coverage"]
    whole = (run.out / "history.csv").read_text().splitlines(keepends=True)
    (tmp_path / "history.csv").write_text("".join(whole[:4]) + whole[4][:5])
    going = mcusim.watch(tmp_path)
    assert len(going.rows) == 3
    assert not going.finished
    assert "goes on" in going.standing
    (tmp_path / "history.csv").write_text(whole[0])
    assert mcusim.watch(tmp_path).standing == "no step is written down yet"
    assert mcusim.watch(tmp_path).sections()


def test_a_terminal_shows_a_curve_a_quantity(trained):
    from io import StringIO

    from rich.console import Console

    from mcusim.cli.watch import drawn

    run, _ = trained
    for width in (60, 80, 200):
        text = StringIO()
        Console(file=text, width=width).print(drawn(mcusim.watch(run.out), width))
        assert max(map(len, text.getvalue().splitlines())) <= width
        assert all(name in text.getvalue() for name in ("loss:", "coverage:", "learning rate:"))


def test_a_curve_of_dots_goes_from_the_least_to_the_largest():
    lines = plotted([0, 1], 4, 2)
    assert [len(line) for line in lines] == [4, 4]
    assert lines[1][0] != "\u2800"
    assert lines[0][-1] != "\u2800"
    assert lines[0][0] == lines[1][-1] == "\u2800"
    assert plotted([3, 3, 3], 2, 1) == ["⣀⣀"]


def test_every_row_becomes_scalars_once(trained, tmp_path, monkeypatch):
    written = []

    class Writer:
        def __init__(self, folder):
            written.append(folder)

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def close(self):
            written.append("closed")

    run, _ = trained
    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=Writer))
    with Scalars(tmp_path / "events") as scalars:
        scalars(counts(run, 3))
        scalars(counts(run, 3))
        scalars(counts(run, len(run.curve)))
    losses = [(row["loss"], row["steps"]) for row in run.curve]
    assert [(value, step) for name, value, step in written[1:-1] if name == "loss"] == losses
    assert [w[0] for w in written[1:-1]].count("test_accuracy") == 2
    assert written[-1] == "closed"
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingPackage, match=r"mcusim\[tensorboard\]"):
        Scalars(tmp_path / "none")


def test_tensorboard_reads_what_is_written(trained, tmp_path):
    pytest.importorskip("tensorboardX")
    run, _ = trained
    with Scalars(tmp_path) as scalars:
        scalars(counts(run, len(run.curve)))
    (file,) = tmp_path.iterdir()
    assert re.match(r"events\.out\.tfevents", file.name)
    assert b"learning_rate" in file.read_bytes()
    shutil.rmtree(tmp_path)
