"""More epochs for a run that there is, where its rates do not depend on how many there are."""

from __future__ import annotations

import pytest
from test_session_folder import Stop, content, stop_at
from test_session_training import session, tiny_data

from mcusim.core import BadArgument, BadRun
from mcusim.session.run import read_run

CONSTANT = {"schedule": "constant", "warmup": 0.5}


@pytest.mark.parametrize("trace", ["first", "all", "off"])
def test_a_longer_run_is_what_it_would_have_been_from_the_start(tmp_path, trace):
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    for epochs in (1, 3):
        again = session().train(tiny_data(), epochs, out=parts, trace=trace, resume=epochs > 1, **CONSTANT)
    run = session().train(tiny_data(), 3, out=whole, trace=trace, **CONSTANT)
    assert again.rows == run.rows
    assert content(parts) == content(whole)
    assert read_run(parts)["identity"]["epochs"] == 3


def test_it_may_be_killed_while_it_becomes_longer(tmp_path, monkeypatch):
    monkeypatch.setattr("mcusim.session.training.BLOCK", 5)
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    session().train(tiny_data(), 1, out=parts, trace="all", **CONSTANT)
    # The first kill comes before a checkpoint knows the journal that was made of the trace.
    for step in (61, 100):
        with pytest.raises(Stop):
            session().train(
                tiny_data(), 2, out=parts, trace="all", resume=True, progress=stop_at(step), **CONSTANT
            )
        monkeypatch.setattr("mcusim.session.training.CHECKPOINT_STEPS", 10)
    session().train(tiny_data(), 2, out=parts, trace="all", resume=True, **CONSTANT)
    session().train(tiny_data(), 2, out=whole, trace="all", **CONSTANT)
    assert content(parts) == content(whole)


def test_a_cosine_cannot_become_longer_and_says_why(tmp_path):
    session().train(tiny_data(12), 1, out=tmp_path)
    before = content(tmp_path)
    with pytest.raises(BadRun, match=r"other epochs, schedule .*a cosine spreads its rates over all epochs"):
        session().train(tiny_data(12), 2, out=tmp_path, resume=True)
    assert content(tmp_path) == before


def test_no_run_becomes_shorter_than_it_is(tmp_path):
    session().train(tiny_data(12), 2, out=tmp_path, **CONSTANT)
    with pytest.raises(BadArgument, match="epochs 1: are fewer than"):
        session().train(tiny_data(12), 1, out=tmp_path, resume=True, **CONSTANT)
    with pytest.raises(BadRun, match="other schedule"):
        session().train(tiny_data(12), 2, out=tmp_path, resume=True, schedule="constant", warmup=1)
