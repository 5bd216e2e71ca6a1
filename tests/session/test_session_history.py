"""``history.csv`` while a training goes on, and what is said meanwhile."""

from __future__ import annotations

import csv

import pytest
from test_session_folder import Stop, stop_at
from test_session_training import session, tiny_data

from mcusim.cli import progress as lines
from mcusim.session.history import ROWS


def rows(folder):
    with open(folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("images", "an_epoch"), [(60, 20), (47, 20), (12, 12)])
def test_an_epoch_leaves_twenty_rows_or_one_a_step(tmp_path, images, an_epoch):
    run = session().train(tiny_data(images), epochs=2, out=tmp_path)
    found = rows(tmp_path)
    assert len(found) == 2 * an_epoch
    steps = [int(row["steps"]) for row in found]
    assert steps == sorted(set(steps))
    ends = [row for row in found if row["test_accuracy"]]
    assert [row["epoch"] for row in ends] == ["1", "2"]
    assert [float(row["loss"]) for row in ends] == list(run.history["loss"])
    assert all(float(row["loss"]) > 0 and float(row["learning_rate"]) >= 0 for row in found)
    assert run.rows == [row for row in run.curve if row["epoch"] in (1, 2)]


def test_it_grows_while_the_run_goes_on_and_a_resumed_one_gives_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("mcusim.session.training.BLOCK", 5)
    monkeypatch.setattr("mcusim.session.training.CHECKPOINT_STEPS", 10)
    seen = []
    session().train(
        tiny_data(), out=tmp_path / "whole", progress=lambda _: seen.append(len(rows(tmp_path / "whole")))
    )
    assert len(set(seen)) > 10
    with pytest.raises(Stop):
        session().train(tiny_data(), out=tmp_path / "parts", progress=stop_at(35))
    assert 10 < len(rows(tmp_path / "parts")) < ROWS
    session().train(tiny_data(), out=tmp_path / "parts", resume=True)
    whole, parts = ((tmp_path / name / "history.csv").read_bytes() for name in ("whole", "parts"))
    assert whole == parts


def test_without_a_terminal_there_is_a_line_an_epoch_or_a_minute(capsys, monkeypatch):
    monkeypatch.setattr("mcusim.session.training.BLOCK", 5)
    with lines.training_progress(lines=True) as report:
        session().train(tiny_data(), epochs=2, progress=report)
    said = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in said] == ["epoch 1 of 2", "epoch 2 of 2"]
    assert all("loss " in line and "accuracy " in line for line in said)
    with lines.training_progress(lines=False) as report:
        session().train(tiny_data(), progress=report)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(lines, "PAUSE_S", 0.0)
    with lines.training_progress(lines=False) as report:
        session().train(tiny_data(), progress=report)
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("epoch 1, 8% of it, step 5, loss ")
    assert len(said) == 13
