"""Several outputs that learn together, and several inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from arena_steps import train
from several_network import A, B, labels, network

import mcusim
from mcusim.core import BadArgument, BadData, BadModel, Role, UnknownName
from mcusim.core.fields import joined
from mcusim.data import from_arrays
from mcusim.graph.outputs import heads, with_outputs
from mcusim.tasks.goals import LOSS, Goals, choose_goals, spelled, weights_of
from mcusim.update.formats import Formats
from mcusim.update.optimizer import Sgd

BOARD = mcusim.board("stm32h743")


# -- goals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("head0", {"head0": 1}), ("1", {"head1": 1}), ("head0+head1*0.5", {"head0": 1, "head1": 0.5}),
        ("1*2+0", {"head1": 2, "head0": 1}), ("0 + 1", {"head0": 1, "head1": 1}),
    ],
)  # fmt: skip
def test_outputs_are_named_with_their_weights(text, weights):
    model = network()
    assert weights_of(model, text) == weights
    assert weights_of(model, spelled(weights)) == weights


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("head2", UnknownName, "head1"), ("2", UnknownName, "'2'"), ("0+0", BadArgument, "twice"),
        ("0*0", BadArgument, "weight '0'"), ("0*-1", BadArgument, "weight"), ("0*nan", BadArgument, "weight"),
        ("0*x", BadArgument, "weight 'x'"), ("", UnknownName, "''"),
    ],
)  # fmt: skip
def test_outputs_that_make_no_sense_are_refused(text, error, words):
    with pytest.raises(error, match=words):
        weights_of(network(), text)


def test_each_output_has_a_task_of_its_own():
    model = network()
    real = {"head0": labels(model)["head0"], "head1": A[:, :2]}
    data = from_arrays(A, real)
    session = mcusim.Session(model, BOARD, "dense", output="0+1*0.5")
    run = session.train(data, epochs=4)
    assert run.plan.settings.task == "classification+regression"
    assert run.metric == LOSS
    assert run.rows[-1]["loss"] < run.rows[0]["loss"]
    assert run.metric_after < run.metric_before
    assert session.evaluate(data.test, run.model) == pytest.approx(run.metric_after)
    with pytest.raises(BadData, match="targets for classification"):
        mcusim.Session(model, BOARD, "dense", output="0+1", task="classification").train(data)
    with pytest.raises(BadArgument, match="3 tasks for 2 outputs"):
        mcusim.Session(model, BOARD, "dense", output="0+1", task="auto+auto+auto").plan()
    with pytest.raises(UnknownName, match="regression"):
        mcusim.Session(model, BOARD, output="0+1", task="auto+regresion")


@pytest.mark.parametrize("softmax", [False, True])
def test_the_same_metric_of_all_outputs_is_averaged_by_weight(softmax):
    model = network(softmax=softmax)
    data = from_arrays(A, labels(model))
    session = mcusim.Session(model, BOARD, "dense", output="0+1*3")
    run = session.train(data, epochs=3)
    assert run.metric.name == "accuracy"
    single = [mcusim.Session(model, BOARD, output=str(n)).evaluate(data.test, run.model) for n in (0, 1)]
    # Softmax of int8 may round two classes to the same value; training looks at what it is of.
    assert session.evaluate(data.test, run.model) == pytest.approx((single[0] + 3 * single[1]) / 4)
    if not softmax:
        assert run.metric_after == pytest.approx((single[0] + 3 * single[1]) / 4)


@pytest.mark.parametrize("error", ["float32", "int8"])
@pytest.mark.parametrize("weights", ["0+1", "0*0.25+1*2"])
def test_several_losses_are_the_same_in_the_arena(error, weights):
    model = network(softmax=True)
    goals = choose_goals(model, weights)
    targets = goals.prepared(joined("labels", labels(model)), model)[:4]
    x = (A[:4] / 0.02).clip(-128, 127).astype(np.int8)[:, None]
    runs = [
        train(model, "dense", Formats(error=error, head="int8"), arena=arena, task=goals, targets=targets,
              x=x, sgd=Sgd(lr=0.01))
        for arena in (True, False)
    ]  # fmt: skip
    assert runs[0][0] == runs[1][0]
    assert all(np.array_equal(value, runs[1][1].arrays[slot]) for slot, value in runs[0][1].arrays.items())
    assert len(set(runs[0][0])) == 4


def test_the_gradient_of_the_trunk_is_the_weighted_sum_of_those_of_the_outputs():
    """In float32, with one step of one example: what the trunk's bias moves by adds up."""
    model = network()
    moved = {}
    for weights in ("0", "1", "0*0.5+1*2"):
        part = with_outputs(model, tuple(weights_of(model, weights)))
        goals = choose_goals(part, weights if "+" in weights else None)
        wanted = joined("labels", {n: labels(model)[n] for n in part.outputs})
        target = goals.prepared(wanted, part)[:1]
        x = (A[:1] / 0.02).clip(-128, 127).astype(np.int8)[:, None]
        formats = Formats(bias="int32+res8", head="int8")
        _, state = train(
            part,
            "bias",
            formats,
            arena=False,
            task=goals,
            targets=[target[0]] * 4,
            x=x,
            sgd=Sgd(lr=0.1),
            steps=1,
        )
        before = np.asarray(part.tensors["trunk.b"].data, np.float64)
        arrays = {str(slot): value for slot, value in state.arrays.items()}
        moved[weights] = arrays["bias:trunk"] + arrays["residual:bias:trunk"] / 256 - before
    np.testing.assert_allclose(moved["0*0.5+1*2"], 0.5 * moved["0"] + 2 * moved["1"], atol=0.02)
    assert np.abs(moved["0*0.5+1*2"]).max() > 0.5


def test_heads_of_all_outputs_learn_and_each_loss_is_counted():
    model = network()
    assert heads(model) == ("head0", "head1")
    step = mcusim.Session(model, BOARD, "head", output="0+1").plan().step
    assert [op.name for op in step.ops if op.action == "loss"] == ["loss:head0", "loss:head1"]
    assert {t.name for t in step.tensors.values() if t.role is Role.HEAD} == {
        "weight:head0", "bias:head0", "weight:head1", "bias:head1",
    }  # fmt: skip


def test_outputs_with_the_same_scores_are_not_trained_together():
    model = network(heads=(3,), softmax=True)
    model = replace(model, outputs=("head0", "p0"), head=None)
    with pytest.raises(BadModel, match="ends in the same scores as output 'head0'"):
        mcusim.Session(model, BOARD, "dense", output="0+1").plan()


def test_labels_of_several_outputs_are_checked():
    model = network()
    session = mcusim.Session(model, BOARD, "dense", output="0+1")
    with pytest.raises(BadData, match=r"one array for 2 outputs.*head0, head1"):
        session.train(from_arrays(A, labels(model)["head0"]))
    with pytest.raises(BadData, match="no part 'head1'"):
        session.train(from_arrays(A, {"head0": labels(model)["head0"], "other": labels(model)["head1"]}))
    with pytest.raises(BadData, match=r"labels .head1.*contain -1"):
        from_arrays(A, {"head0": labels(model)["head0"], "head1": -np.ones(60, int)})
    assert mcusim.Session(model, BOARD, "head", output="1").train(from_arrays(A, labels(model))).steps == 48


def test_goals_come_back_from_their_texts():
    model = network()
    goals = choose_goals(model, "0+1*0.5", "classification+regression")
    again = Goals.named(model, "head0+head1*0.5", goals.name)
    assert [(g.output, g.task.name, g.weight) for g in again.items] == [
        ("head0", "classification", 1.0), ("head1", "regression", 0.5),
    ]  # fmt: skip


def test_smoothing_changes_what_is_learned_and_no_byte_of_the_plan():
    model = network(heads=(3,))
    data = from_arrays(A, labels(model)["head0"])
    plain, smooth = (mcusim.Session(model, BOARD, "dense", smoothing=part) for part in (0.0, 0.1))
    assert smooth.plan().operations.equals(plain.plan().operations)
    assert smooth.plan().peak_bytes == plain.plan().peak_bytes
    assert "smoothing" not in plain.plan().settings.as_dict()
    runs = [session.train(data) for session in (plain, smooth)]
    assert runs[0].rows[0]["loss"] != runs[1].rows[0]["loss"]


def test_smoothing_is_the_same_in_the_arena():
    model = network(heads=(3,))
    goals = Goals.named(model, None, "classification", smoothing=0.1)
    x = (A[:4] / 0.02).clip(-128, 127).astype(np.int8)[:, None]
    runs = [
        train(model, "dense", Formats(head="int8"), arena=arena, task=goals, x=x, targets=(0, 1, 2, 0))
        for arena in (True, False)
    ]
    assert runs[0][0] == runs[1][0]


def test_smoothing_is_for_outputs_with_classes():
    model = network()
    both = Goals.named(model, "head0+head1", "classification+regression", smoothing=0.1)
    assert [goal.smoothing for goal in both.items] == [0.1, 0.0]
    with pytest.raises(
        BadArgument, match=r"label smoothing 0.1: is not for regression.*classification or segm"
    ):
        mcusim.plan(network(heads=(3,)), BOARD, "dense", task="regression", smoothing=0.1)
    with pytest.raises(BadArgument, match="label smoothing 1"):
        mcusim.Session(model, BOARD, "head", smoothing=1.0)


def test_a_run_of_several_outputs_goes_on_where_it_stopped(tmp_path):
    model = network(inputs=2)
    data = from_arrays({"a": A, "b": B}, labels(model))

    def session():
        return mcusim.Session(model, BOARD, "dense", output="0+1*0.5", seed=2)

    whole = session().train(data, epochs=2, out=tmp_path / "whole")
    from mcusim.planning.recipe import Recipe
    from mcusim.session.training import Training

    part = session()
    training = Training(part.plan_for(data), part.scheme, data, Recipe(epochs=2), whole=model)
    training.advance(tmp_path / "part", 1)
    assert session().train(data, epochs=2, out=tmp_path / "part", resume=True).rows == whole.rows


# -- inputs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("a", "b"), ("0", "1")])
@pytest.mark.parametrize("update", ["dense", "head"])
def test_several_inputs_are_in_plan_and_data(names, update):
    model = network(inputs=2, heads=(3,))
    data = from_arrays(dict(zip(names, (A, B), strict=True)), A[:, :3].argmax(axis=1))
    session = mcusim.Session(model, BOARD, update)
    run = session.train(data, epochs=4)
    assert run.rows[-1]["loss"] < run.rows[0]["loss"]
    assert session.evaluate(data.test, run.model) == pytest.approx(run.metric_after)
    loaded = run.plan.step.ops[0]
    assert set(loaded.writes) == {"a", "b"}
    assert sum(run.plan.step.tensors[name].bytes for name in loaded.writes) == 10
    found = mcusim.predict(run.model, dict(zip(names, (A[:5], B[:5]), strict=True)))
    assert found.shape == (5, 3)


def test_the_order_of_the_inputs_is_told_by_their_names():
    model = network(inputs=2, heads=(3,))
    x = {"a": A[:5], "b": B[:5]}
    np.testing.assert_array_equal(
        mcusim.predict(model, x), mcusim.predict(model, {"b": B[:5], "c": A[:5], "a": A[:5]})
    )


def test_data_for_fewer_inputs_are_refused():
    model = network(inputs=2, heads=(3,))
    session = mcusim.Session(model, BOARD, "dense")
    with pytest.raises(BadData, match=r"one array, and several has 2 inputs: a, b.*x/NAME"):
        session.train(from_arrays(A, A.argmax(axis=1) % 3))
    with pytest.raises(BadData, match=r"no part 'b' \(they have 'a', 'c'\)"):
        session.train(from_arrays({"a": A, "c": B}, A.argmax(axis=1) % 3))
    with pytest.raises(BadData, match="cannot become input 'b'"):
        session.train(from_arrays({"a": A, "b": A}, A.argmax(axis=1) % 3))
    with pytest.raises(BadData, match="different numbers of examples: 'a' 60, 'b' 59"):
        from_arrays({"a": A, "b": B[:59]})
    with pytest.raises(BadModel, match="takes 2 inputs"):
        mcusim.Session(model, BOARD, "dense", task="reconstruction").plan()


def test_records_come_through_archives_and_folders(tmp_path):
    y = {"head0": A[:, :3].argmax(axis=1), "head1": A[:, 0]}
    arrays = {"x/a": A, "x/b": B, "y/head0": y["head0"], "y/head1": y["head1"]}
    np.savez(tmp_path / "set.npz", **arrays)
    for name, array in arrays.items():
        path = tmp_path / "folder" / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array)
    here = from_arrays({"a": A, "b": B}, y)
    for data in (mcusim.data.open_data(tmp_path / "set.npz"), mcusim.data.open_data(tmp_path / "folder")):
        assert data.train.images.dtype.names == ("a", "b")
        assert data.train.labels.dtype["head1"] == np.float32
        assert data.classes == 0
        assert data.train.digest() == here.train.digest()
    other = from_arrays({"a": A, "b": B}, {**y, "head1": A[:, 1]})
    assert other.train.digest() != here.train.digest()
    assert from_arrays({"a": A, "c": B}, y).train.digest() != here.train.digest()
    assert "a and b" in repr(here)
    assert len(here.subset(7, 3).train) == 7
