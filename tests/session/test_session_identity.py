"""A result says what it rests on, and nothing that rests on something else is taken for it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from networks import small_network
from test_session_folder import Stop, stop_at
from test_session_training import session, tiny_data

import mcusim
from mcusim.core import BadRun
from mcusim.data.looks import Looks
from mcusim.session import identity
from mcusim.session.checkpoint import FILE, read_checkpoint
from mcusim.session.features import Features
from mcusim.session.run import RESULTS, read_run


def other_version(monkeypatch):
    changed = {**identity.program(), "version": "0.0.9"}
    for module in ("features", "training"):
        monkeypatch.setattr(f"mcusim.session.{module}.program", lambda: changed)


def on(board):
    return mcusim.Session(
        small_network(),
        board,
        update="last-2",
        sram="64KiB",
        planner="greedy_by_size",
        sgd=mcusim.Sgd(lr=0.002),
    )


def test_a_run_says_what_it_rests_on(tmp_path):
    run = session().train(tiny_data(12), out=tmp_path)
    said = read_run(tmp_path)["identity"]
    assert said == run.identity
    assert said["version"] == mcusim.__version__
    assert {"arithmetic", "model", "data", "board", "cycle profile", "settings", "trace"} <= set(said)
    assert said["board"].startswith("stm32f746 ")


def test_a_run_of_another_version_is_not_resumed(tmp_path, monkeypatch):
    session().train(tiny_data(12), out=tmp_path)
    other_version(monkeypatch)
    with pytest.raises(BadRun, match="other version"):
        session().train(tiny_data(12), out=tmp_path, resume=True)
    assert session().train(tiny_data(12), out=tmp_path, overwrite=True).identity["version"] == "0.0.9"


def test_a_run_is_not_resumed_on_another_board_nor_on_the_same_with_other_figures(tmp_path):
    board = mcusim.board("stm32f746")
    on(board).train(tiny_data(12), out=tmp_path)
    for other in (mcusim.board("stm32l4r5"), replace(board, clock_hz=board.clock_hz // 2)):
        with pytest.raises(BadRun, match=r"other .*board"):
            on(other).train(tiny_data(12), out=tmp_path, resume=True)
    moved = replace(board, file="elsewhere.toml")
    assert on(moved).train(tiny_data(12), out=tmp_path, resume=True).steps == 12


@pytest.mark.parametrize(("first", "second"), [*product(("off", "first", "all"), repeat=2)])
def test_another_trace_mode_never_mixes_two_recordings_nor_costs_the_model(
    first, second, tmp_path, monkeypatch
):
    """What was not recorded from its first step is refused by name; all else ends in the same files."""
    monkeypatch.setattr("mcusim.session.training.CHECKPOINT_STEPS", 10)
    monkeypatch.setattr("mcusim.session.training.BLOCK", 5)
    out, whole = tmp_path / "out", tmp_path / "whole"
    with pytest.raises(Stop):
        session().train(tiny_data(24), out=out, trace=first, progress=stop_at(15))
    assert read_checkpoint(out / FILE)[1]["identity"]["trace"] == first
    wanted = second
    if (first, second) in (("off", "all"), ("first", "all")):
        with pytest.raises(
            BadRun, match=r"not recorded from its first step \(resume with trace first or off"
        ):
            session().train(tiny_data(24), out=out, trace=second, resume=True)
        wanted = "first"
    run = session().train(tiny_data(24), out=out, trace=wanted, resume=True)
    session().train(tiny_data(24), out=whole, trace=wanted)
    for name in RESULTS:
        assert (out / name).exists() == (whole / name).exists()
        assert not (out / name).exists() or (out / name).read_bytes() == (whole / name).read_bytes()
    assert run.identity["trace"] == wanted


def test_features_of_another_version_are_not_taken(tmp_path, monkeypatch):
    monkeypatch.setattr("mcusim.session.features.cache_dir", lambda: tmp_path)
    plan, data = session("head").plan(), tiny_data(12)

    def rows():
        features = Features(plan.step, data, mcusim.Augmentation(), Looks(), 0)
        return np.stack(features.rows(np.arange(12), 0))

    expected = rows()
    [path] = [p for p in (tmp_path / "features").iterdir() if p.stat().st_size]
    before = path.read_bytes()
    other_version(monkeypatch)
    assert np.array_equal(rows(), expected)
    filled = [p for p in (tmp_path / "features").iterdir() if p.stat().st_size]
    assert len(filled) == 2
    assert path.read_bytes() == before


def test_features_of_other_views_are_not_taken(tmp_path, monkeypatch):
    """What the cache gives is what a front computes that keeps nothing, for every kind of view."""
    plan, data, index = session("head").plan(), tiny_data(12), np.arange(12)
    seen = set()
    for view in ({}, {"cutout": 4}, {"cutout": 5}, {"brightness": 0.4}, {"contrast": 0.4}, {"shift": 2}):
        rows = []
        for root in (tmp_path, tmp_path, None):
            monkeypatch.setattr("mcusim.session.features.cache_dir", lambda root=root: root)
            features = Features(plan.step, data, mcusim.Augmentation(**view), Looks(), 0)
            rows.append(np.stack(features.rows(index, 1)))
        assert np.array_equal(rows[0], rows[1])
        assert np.array_equal(rows[0], rows[2])
        seen.add((features.key, rows[0].tobytes()))
    assert len(seen) == len({key for key, _ in seen}) == len({found for _, found in seen}) == 6


def test_the_code_that_computes_is_part_of_the_identity(tmp_path, monkeypatch):
    before = identity.program()["arithmetic"]
    for room in identity.COMPUTES:
        assert any((identity.PACKAGE / room).rglob("*.py")), room
        (tmp_path / room).mkdir()
        for path in (identity.PACKAGE / room).rglob("*.py"):
            place = tmp_path / path.relative_to(identity.PACKAGE)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    monkeypatch.setattr(identity, "PACKAGE", tmp_path)
    assert identity.program.__wrapped__()["arithmetic"] == before
    changed = tmp_path / "kernels" / "loss.py"
    changed.write_bytes(changed.read_bytes() + b"\n# other\n")
    assert identity.program.__wrapped__()["arithmetic"] != before
