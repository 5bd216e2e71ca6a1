"""A run of the shipped network, with what it answers: pages show both."""

from __future__ import annotations

import pytest

import mcusim
from mcusim.session.answers import Answers, answers
from mcusim.session.run import Run


@pytest.fixture(scope="session")
def examples() -> mcusim.data.Dataset:
    """Return few examples of few shapes."""
    return mcusim.data.synthetic(train=60, test=40)


@pytest.fixture(scope="session")
def trained(examples: mcusim.data.Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Answers]:
    """Return a short run that lies in a folder, and its answers on the test examples."""
    model, board = mcusim.load("synthetic-mbv2"), mcusim.board("nrf52840")
    out = tmp_path_factory.mktemp("trained") / "run"
    run = mcusim.train(model, board, examples, epochs=2, update="dynamic", out=out)
    assert run.plan.step.goals is not None
    found = answers(run.model, examples, run.plan.step.goals)
    assert found is not None
    return run, found
