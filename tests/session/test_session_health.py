"""A training that diverges says so and stops; nothing that is not finite gets into a file."""

from __future__ import annotations

import ast
import pickle
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pytest
from test_session_training import session, tiny_data

import mcusim
from mcusim.core import Diverged, Kind, is_kind
from mcusim.session import health
from mcusim.session.checkpoint import read_checkpoint

PACKAGE = Path(mcusim.__file__).parent
MAY_BE_INFINITE = {
    "files/npz.py": "describes networks, whose clamps may be infinite, to this program alone",
    "mcu/toml_files.py": "hands what a TOML file says to the check that refuses what is not finite",
}


@pytest.mark.parametrize("update", ["head", "dense"])
def test_a_loss_that_is_not_finite_stops_the_run_at_its_step(tmp_path, update):
    with pytest.raises(
        Diverged, match=r"the loss is (nan|inf).*, after \d+ steps.*try lr = 3e\+37"
    ) as caught:
        session(update, sgd=mcusim.Sgd(lr=3e38)).train(tiny_data(), epochs=2, out=tmp_path)
    assert 0 < caught.value.step <= 60
    assert caught.value.history == []
    arrays, meta = read_checkpoint(tmp_path / "checkpoint.npz")
    assert meta["iteration"] == 0
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert pickle.loads(pickle.dumps(caught.value)).step == caught.value.step


def poison(monkeypatch, name, at):
    """Let a number of the program become infinite after step ``at``, though the loss stays finite."""
    from mcusim.session.features import Features

    train = Features.train

    def trained(self, program, row, target):
        loss = train(self, program, row, target)
        if program.state.iteration == at:
            next(values for found, values in program.numbers() if found == name).flat[0] = np.inf
        return loss

    monkeypatch.setattr(Features, "train", trained)


@pytest.mark.parametrize("part", ["weights", "bias"])
def test_a_gradient_that_is_not_finite_is_named(tmp_path, monkeypatch, part):
    monkeypatch.setattr("mcusim.session.training.BLOCK", 5)
    op = session("head").model.head
    name = f"a gradient of the {part} of {op}"
    poison(monkeypatch, name, 100)
    with pytest.raises(Diverged, match=f"{name} is not finite, after 100 steps") as caught:
        session("head").train(tiny_data(), epochs=2, out=tmp_path)
    assert caught.value.step == 100
    assert [row["epoch"] for row in caught.value.history] == [1]
    kept = (tmp_path / "history.csv").read_text().splitlines()
    assert kept[0].startswith("epoch,steps,loss,")
    assert [float(line.split(",")[1]) for line in kept[20:]] == [60, *range(63, 100, 3)]
    assert read_checkpoint(tmp_path / "checkpoint.npz")[1]["iteration"] == 60


def test_what_is_not_finite_gets_into_no_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr("mcusim.session.training.CHECKPOINT_STEPS", 10)
    poison(monkeypatch, f"a gradient of the weights of {session('head').model.head}", 20)
    with pytest.raises(Diverged, match="after 20 steps"):
        session("head").train(tiny_data(), out=tmp_path)
    assert read_checkpoint(tmp_path / "checkpoint.npz")[1]["iteration"] == 10


@pytest.mark.parametrize(("error", "said"), [("int8", True), ("float32", False)])
def test_saturation_above_a_stated_share_is_said_at_the_end(monkeypatch, error, said):
    def run():
        formats = mcusim.Formats(error=error)
        return session("dense", formats=formats, sgd=mcusim.Sgd(lr=0.05)).train(tiny_data(), epochs=2)

    found = run()
    tensors = [t for name, t in found.plan.step.tensors.items() if is_kind(name, Kind.ERROR)]
    share = found.saturations / (found.steps * sum(prod(t.shape) for t in tensors if t.dtype == "int8") or 1)
    assert found.saturated_share == (share if said else 0.0)
    assert (0 < share < health.MUCH) is said
    assert "saturated" not in str(found)
    monkeypatch.setattr(health, "MUCH", share / 2)
    assert ("saturated" in str(found)) is said


def test_what_training_made_of_a_network_is_looked_at_for_overflow(monkeypatch):
    run = session("bias").train(tiny_data(12))
    assert "overflow" not in str(run)
    op = next(op for op in run.model.ops if op.bias)
    bias = run.model.tensors[op.bias]
    run.model = run.model.with_tensors({op.bias: replace(bias, data=np.full_like(bias.data, -(2**31)))})
    assert "can overflow 32-bit accumulators" in str(run)


def test_every_json_is_strict():
    """JSON has no NaN: a number that is not finite is an error where it is written, not where it is read."""
    lax, calls = set(), 0
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text("utf-8")
        names = ("json.dumps", "json.dump", *(("dumps",) if "from json import dumps" in text else ()))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
                calls += 1
                strict = any(
                    word.arg == "allow_nan" and ast.unparse(word.value) == "False" for word in node.keywords
                )
                if not strict:
                    lax.add(path.relative_to(PACKAGE).as_posix())
    assert calls > 10
    assert lax == set(MAY_BE_INFINITE)
