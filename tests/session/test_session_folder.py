"""The folder of a run: whole at every moment, and what it holds is never lost."""

from __future__ import annotations

import pytest
from networks import small_network
from test_session_training import session, tiny_data

import mcusim
from mcusim.core import BadRun
from mcusim.session.run import RESULTS

JOURNAL = "trace.parquet.part"


class Stop(Exception):
    """Ends a training from its progress callback."""


def stop_at(step):
    def progress(counts):
        if counts["step"] >= step:
            raise Stop

    return progress


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name in RESULTS}


@pytest.fixture
def often(monkeypatch):
    """Checkpoints and progress every few steps."""
    monkeypatch.setattr("mcusim.session.training.CHECKPOINT_STEPS", 10)
    monkeypatch.setattr("mcusim.session.training.BLOCK", 5)


def begun(folder, **options):
    with pytest.raises(Stop):
        session(**options).train(tiny_data(), out=folder, trace="all", progress=stop_at(35))


@pytest.mark.parametrize("trace", ["first", "all", "off"])
def test_a_finished_run_is_reported_and_nothing_is_written(tmp_path, trace):
    out = tmp_path / "run"
    run = session().train(tiny_data(12), out=out, trace=trace)
    before = content(out)
    times = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    again = session().train(tiny_data(12), out=out, trace=trace, resume=True)
    assert again.as_dict() == run.as_dict()
    assert again.rows == run.rows
    assert content(out) == before
    assert {p.name: p.stat().st_mtime_ns for p in out.iterdir() if p.name in times} == times
    assert len(again.trace) == len(run.trace)


def test_what_is_missing_from_a_finished_run_comes_back_the_same(tmp_path):
    out = tmp_path / "run"
    session().train(tiny_data(12), out=out, trace="all")
    before = content(out)
    for name in ("model.npz", "run.json", "history.csv", "operations.csv"):
        (out / name).unlink()
        session().train(tiny_data(12), out=out, resume=True)
        assert content(out) == before


def test_a_flipped_bit_in_the_journal_is_noticed_before_training_and_the_model_is_had(tmp_path, often):
    out, whole = tmp_path / "run", tmp_path / "whole"
    expected = session().train(tiny_data(), out=whole)
    begun(out)
    journal = bytearray((out / JOURNAL).read_bytes())
    journal[400] ^= 4
    (out / JOURNAL).write_bytes(journal)
    steps = []
    with pytest.raises(BadRun, match="trace first or off"):
        session().train(
            tiny_data(), out=out, trace="all", resume=True, progress=lambda counts: steps.append(counts)
        )
    assert steps == []
    found = session().train(tiny_data(), out=out, resume=True)
    assert found.rows == expected.rows
    assert content(out) == content(whole)
    assert not (out / JOURNAL).exists()


def test_a_run_whose_journal_is_gone_can_be_finished(tmp_path, often):
    out = tmp_path / "run"
    begun(out)
    (out / JOURNAL).unlink()
    with pytest.raises(BadRun, match="trace first or off"):
        session().train(tiny_data(), out=out, trace="all", resume=True)
    assert session().train(tiny_data(), out=out, resume=True, trace="off").steps == 60


def test_a_trace_that_cannot_be_written_leaves_the_model(tmp_path, monkeypatch):
    out = tmp_path / "run"

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("mcusim.traces.recorder.write_events", full)
        with pytest.raises(OSError, match="No space"):
            session().train(tiny_data(12), out=out, trace="all")
    assert mcusim.load(out / "model.npz").name == small_network().name
    assert {p.name for p in out.iterdir()} >= {"run.json", "history.csv", "model.npz", JOURNAL}
    session().train(tiny_data(12), out=out, trace="all", resume=True)
    session().train(tiny_data(12), out=tmp_path / "whole", trace="all")
    assert content(out) == content(tmp_path / "whole")
    assert not (out / JOURNAL).exists()


def test_the_first_step_of_a_resumed_run_is_the_first(tmp_path, often):
    for update in ("dynamic:ratio=0.1,blocks=2,stage=7", "tinyprop:blocks=2,stage=9"):
        whole, parts = tmp_path / f"whole {update[:4]}", tmp_path / f"parts {update[:4]}"
        session(update=update).train(tiny_data(), out=whole)
        with pytest.raises(Stop):
            session(update=update).train(tiny_data(), out=parts, progress=stop_at(35))
        session(update=update).train(tiny_data(), out=parts, resume=True)
        assert content(parts) == content(whole)


def test_coverage_is_counted_once_though_the_run_was_killed_at_its_start(tmp_path, monkeypatch):
    from mcusim.session.checkpoint import read_checkpoint

    monkeypatch.setattr("mcusim.session.training.BLOCK", 5)
    session().train(tiny_data(), out=tmp_path / "whole")
    with pytest.raises(Stop):
        session().train(tiny_data(), out=tmp_path / "run", progress=stop_at(5))
    session().train(tiny_data(), out=tmp_path / "run", resume=True)
    one, two = (read_checkpoint(tmp_path / n / "checkpoint.npz")[1]["progress"] for n in ("whole", "run"))
    assert one["coverage"] == two["coverage"]
