"""Every task: its loss, its gradient, its place in the arena, and what a session says of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arena_steps import train
from tasks_networks import case, network

import mcusim
from mcusim.core import BadData, BadModel, Phase, Role, UnknownName
from mcusim.data import from_arrays
from mcusim.data.preprocess import Preprocessor
from mcusim.graph import OpKind
from mcusim.kernels import loss, reference
from mcusim.lowering.gradients import trained_ops
from mcusim.lowering.lower import lower
from mcusim.session.run import read_run
from mcusim.tasks.choice import Labels, choose
from mcusim.tasks.metric import Metric
from mcusim.tasks.single_label import SingleLabel
from mcusim.tasks.task import TASKS, Task
from mcusim.update.formats import Formats
from mcusim.update.optimizer import Sgd
from mcusim.update.scheme import scheme

ALL = list(TASKS)


def ready(name):
    """Return a task with its network, and examples and targets as a step takes them."""
    model, x, y = case(name)
    task = TASKS[name]()
    prepared = Preprocessor(model, x.shape[1:], x.dtype.name)(x)
    return task, model, prepared, prepared if task.reads_input else task.prepared(y, model)


def example(name, seed=0):
    """Return logits and the target of one example as the loss takes them."""
    task, model, _, targets = ready(name)
    logits = model.tensors[trained_ops(model, task)[-1].output]
    output = np.random.default_rng(seed).normal(0, 2, logits.elements).astype(np.float32)
    target = targets[3] if task.target(model) is None else targets[3].reshape(-1)
    if task.reads_input:
        target = target.astype(np.float32) * model.input.quant.scale
    return task, output, target


@pytest.mark.parametrize("name", ALL)
def test_every_gradient_is_that_of_the_loss(name):
    task, output, target = example(name)
    gradient = np.empty_like(output)
    task.loss()(output, target, gradient)
    step = 0.02
    for i in range(output.size):
        losses = []
        for sign in (-1, 1):
            moved = output.copy()
            moved[i] += np.float32(sign * step)
            losses.append(task.loss()(moved, target, np.empty_like(output)))
        assert gradient[i] == pytest.approx((losses[1] - losses[0]) / (2 * step), rel=2e-3, abs=2e-4)


@pytest.mark.parametrize("name", ALL)
def test_every_loss_and_gradient_is_that_of_pytorch(name):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    task, output, target = example(name, seed=4)
    gradient = np.empty_like(output)
    value = task.loss()(output, target, gradient)
    x = torch.tensor(output, requires_grad=True)
    if name == "classification":
        theirs = functional.cross_entropy(x[None], torch.tensor([int(target)]))
    elif name == "segmentation":
        theirs = functional.cross_entropy(x.reshape(target.size, -1), torch.tensor(target, dtype=torch.long))
    elif name in ("binary", "multi-label"):
        theirs = functional.binary_cross_entropy_with_logits(x, torch.tensor(target, dtype=torch.float32))
    else:
        theirs = functional.mse_loss(x, torch.tensor(target, dtype=torch.float32))
    theirs.backward()
    assert value == pytest.approx(theirs.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in ALL if issubclass(TASKS[name], SingleLabel)])
def test_every_smoothed_loss_is_that_of_pytorch(name):
    torch = pytest.importorskip("torch")
    task, output, target = example(name, seed=4)
    gradient = np.empty_like(output)
    value = task.smoothed(0.1)(output, target, gradient)
    x = torch.tensor(output, requires_grad=True)
    labels = torch.tensor(target, dtype=torch.long).reshape(-1)
    theirs = torch.nn.functional.cross_entropy(x.reshape(len(labels), -1), labels, label_smoothing=0.1)
    theirs.backward()
    assert value == pytest.approx(theirs.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_new_losses_agree_with_their_slow_twins(seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 10, (7, 4)).astype(np.float32)
    labels, bits = rng.integers(0, 4, 7).astype(np.uint8), rng.integers(0, 2, 28).astype(np.uint8)
    for ours, slow, x, target, choices in (
        (loss.SoftmaxCrossEntropy(), reference.pixel_cross_entropy, logits, labels, {}),
        (loss.SoftmaxCrossEntropy(0.1), reference.pixel_cross_entropy, logits, labels, {"smoothing": 0.1}),
        (loss.SigmoidCrossEntropy(), reference.sigmoid_cross_entropy, logits.reshape(-1), bits, {}),
    ):
        found, expected = np.empty(x.size, np.float32), np.empty_like(x)
        assert ours(x.reshape(-1), target, found) == slow(x, target, expected, **choices)
        np.testing.assert_array_equal(found, expected.reshape(-1))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("error", ["float32", "int8"])
def test_every_task_is_the_same_in_the_arena(name, error):
    task, model, x, targets = ready(name)
    runs = [
        train(
            model, "dense", Formats(error=error, head="int8"), arena=arena, task=task, targets=targets[:4],
            x=x[:4, None].reshape(4, *model.input.shape), sgd=Sgd(lr=0.01),
        )
        for arena in (True, False)
    ]  # fmt: skip
    assert runs[0][0] == runs[1][0]
    assert all(np.array_equal(v, runs[1][1].arrays[k]) for k, v in runs[0][1].arrays.items())
    assert len(set(runs[0][0])) == 4


@pytest.mark.parametrize("name", ALL)
def test_every_task_learns_and_says_so(name, tmp_path):
    model, x, y = case(name)
    board = mcusim.board("stm32h743")
    session = mcusim.Session(model, board, "dense", sgd=mcusim.Sgd(lr=0.02), seed=1)
    data = from_arrays(x, y)
    run = session.train(data, epochs=6, out=tmp_path)
    metric = TASKS[name].metric
    assert run.rows[-1]["loss"] < run.rows[0]["loss"]
    assert run.metric == metric
    assert metric.improved(run.metric_before, run.metric_after)
    assert session.evaluate(data.test, run.model) == pytest.approx(run.metric_after)
    assert {f"train_{metric.key}", f"test_{metric.key}"} <= set(run.history.columns)
    assert ("accuracy" in metric.name) == metric.higher_is_better == (metric.unit == "%")
    text = str(run)
    assert f", {name}, update dense" in text.splitlines()[0]
    assert metric.name in text
    assert metric.higher_is_better or "accuracy" not in text
    saved = read_run(tmp_path)
    assert saved["task"] == saved["settings"]["task"] == name
    assert saved["metric"] == {**metric.as_dict(), "before": run.metric_before, "after": run.metric_after}


@pytest.mark.parametrize("name", ALL)
def test_a_stopped_run_of_every_task_goes_on_to_the_same_bits(name, tmp_path, monkeypatch):
    monkeypatch.setattr("mcusim.session.training.CHECKPOINT_STEPS", 9)
    monkeypatch.setattr("mcusim.session.training.BLOCK", 5)
    model, x, y = case(name)

    class Stop(Exception):
        pass

    def progress(counts):
        if counts["step"] == 15:
            raise Stop

    def run(**options):
        session = mcusim.Session(model, mcusim.board("stm32h743"), "dense", seed=1)
        return session.train(from_arrays(x, y), epochs=2, **options)

    with pytest.raises(Stop):
        run(out=tmp_path, progress=progress)
    assert run(out=tmp_path, resume=True).rows == run().rows


@pytest.mark.parametrize("name", ALL)
def test_what_a_loss_reads_and_keeps_is_counted(name):
    task, model, _, targets = ready(name)
    step = lower(model, scheme("dense").scope(model), task=task)
    op = next(op for op in step.ops if op.phase is Phase.LOSS)
    target, logits = task.target(model), model.tensors[step.logits[0]]
    given = 0 if target is None else target.bytes
    assert given == (0 if target is None else targets[0].nbytes)
    assert op.read[step.logits[0]] == logits.bytes
    assert op.work.sram_written == 4 * logits.elements
    assert op.work.float_ops == task.float_ops * logits.elements > 0
    if target is not None:
        assert op.read[target.name] == given
        held = step.tensors[target.name]
        assert held.role is (Role.FEATURE if task.reads_input else Role.INPUT)
        assert held.lifetime.start == 0
        assert held.lifetime.end > step.ops.index(op)
    loaded = sum(step.tensors[name].bytes for name in step.ops[0].writes)
    assert loaded == model.input.bytes + (0 if task.reads_input else given)


def test_losses_of_errors_are_cheaper_than_a_softmax():
    assert TASKS["regression"].float_ops < TASKS["reconstruction"].float_ops < TASKS["binary"].float_ops


# -- which task ------------------------------------------------------------------------------------------


@pytest.mark.smoke
@pytest.mark.parametrize("name", ALL)
def test_auto_finds_every_task_from_network_and_data(name):
    model, _, y = case(name)
    assert choose(model, labels=Labels(y)).name == name
    assert choose(model, name).name == name


@pytest.mark.parametrize(
    ("link", "outputs", "task"),
    [
        (OpKind.SOFTMAX, 6, "classification"), (OpKind.LOGISTIC, 1, "binary"), (None, 1, "regression"),
        (OpKind.LOGISTIC, 4, "multi-label"), (None, 6, "reconstruction"), (None, 4, "classification"),
    ],
)  # fmt: skip
def test_without_data_the_end_of_the_network_says_the_task(link, outputs, task):
    model = network((6,), outputs, link)
    assert choose(model).name == task
    plan = mcusim.Session(model, mcusim.board("stm32h743"), "dense").plan()
    assert f"tiny on stm32h743, {task}, update dense: fits" in str(plan).splitlines()[0]
    assert plan.as_dict()["task"] == plan.settings.task == task


def test_labels_decide_against_the_shape_of_the_network():
    """As many outputs as inputs is no autoencoder if the data have labels."""
    model = network((6,), 6)
    assert choose(model, labels=Labels(np.arange(6))).name == "classification"
    assert choose(model, labels=Labels(np.zeros((5, 6), np.float32))).name == "regression"
    assert choose(model, labels=Labels(None)).name == "reconstruction"
    board = mcusim.board("stm32h743")
    session = mcusim.Session(model, board, "dense")
    assert session.plan().settings.task == "reconstruction"
    x = np.random.default_rng(0).uniform(-2.5, 2.5, (20, 6)).astype(np.float32)
    run = session.train(from_arrays(x, np.arange(20) % 6))
    assert run.plan.settings.task == "classification"
    assert run.metric.name == "accuracy"


@pytest.mark.parametrize(
    ("model", "labels", "asked", "error", "words"),
    [
        (network((1,), 1), None, "auto", BadData, "have no labels"),
        (network((6,), 1), np.arange(9), "auto", BadData, "one output"),
        (network((6,), 3), np.arange(9), "auto", BadData, "classes=9"),
        (network((6,), 3), np.zeros((9, 2), int), "auto", BadData, r"shape \(N, 3\)"),
        (network((6,), 3, OpKind.SOFTMAX), np.zeros((9, 3), int), "auto", BadModel, "exclude each other"),
        (network((6,), 3), np.zeros((9, 2)), "auto", BadData, r"shape \(N, 3\)"),
        (network((6,), 3), np.zeros(9, int), "regression", BadData, "float32"),
        (network((6,), 3), np.zeros((9, 3)), "classification", BadData, "one class number"),
        (network((6,), 3), np.zeros(9, int), "reconstruction", BadModel, "takes 6 numbers and gives 3"),
        (network((6,), 3), np.zeros(9, int), "binary", BadModel, "one output"),
        (network((4, 5, 3), 3), np.arange(3), "auto", BadModel, "one vector of scores"),
        (network((4, 5, 3), 3), np.full((9, 4, 5), 3), "auto", BadData, "integers 0 to 2"),
        (network((6,), 3), np.zeros(9, int), "sorting", UnknownName, "sorting"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_with_the_reason(model, labels, asked, error, words):
    with pytest.raises(error, match=words):
        choose(model, asked, Labels(labels)).prepared(labels, model)


def test_a_picture_of_scores_is_not_planned_without_saying_what_for():
    model = network((4, 5, 3), 4)
    board = mcusim.board("stm32h743")
    with pytest.raises(BadModel, match="choose a task: segmentation or regression"):
        mcusim.Session(model, board, "dense").plan()
    assert mcusim.Session(model, board, "dense", task="segmentation").plan().fits


def test_a_task_that_nobody_knows_is_refused_before_planning():
    with pytest.raises(UnknownName, match="regression"):
        mcusim.Session(network((6,), 1), mcusim.board("stm32h743"), task="regresion")


@pytest.mark.smoke
@pytest.mark.parametrize("kind", [OpKind.SOFTMAX, OpKind.LOGISTIC])
def test_the_loss_takes_the_place_of_the_link_and_of_nothing_else(kind):
    model = network((6,), 3, kind)
    whole = [op.name for op in model.ops]
    left = {name: [op.name for op in trained_ops(model, TASKS[name]())] for name in ALL}
    for name, ops in left.items():
        assert ops == (whole[:-1] if kind in TASKS[name].link else whole)
    assert left["classification"] == whole[:-1]
    assert left["regression"] == whole


def test_a_metric_knows_its_direction_and_its_unit():
    accuracy, error = Metric("accuracy", "%"), Metric("mean squared error", higher_is_better=False)
    assert accuracy.text(0.8707) == "87.07%"
    assert error.text(361.0948) == "361.09"
    assert Metric("error", "mm", higher_is_better=False).text(1.5) == "1.5 mm"
    assert accuracy.improved(0.1, 0.2)
    assert error.improved(0.2, 0.1)
    assert not error.improved(0.1, math.nan)
    assert error.key == "mean_squared_error"


def test_tasks_have_no_state_and_say_what_they_are():
    for name in ALL:
        found = TASKS[name]
        assert issubclass(found, Task)
        assert found.name == name
        assert not vars(found())
        assert found.__doc__


# -- data ------------------------------------------------------------------------------------------------


def test_every_kind_of_target_comes_through_an_archive(tmp_path):
    for name in ALL:
        _, x, y = case(name)
        arrays = {"x": x} if y is None else {"x": x, "y": y}
        np.savez(tmp_path / "set.npz", **arrays)
        data = mcusim.data.open_data(tmp_path / "set.npz")
        assert len(data.train) + len(data.test) == len(x)
        assert data.classes == (int(y.max()) + 1 if name in ("classification", "binary") else 0)
        if y is None:
            assert data.train.labels is None
            continue
        assert data.train.labels.dtype == (np.float32 if y.dtype.kind == "f" else np.int64)
        at = [
            int(np.flatnonzero((x == image).reshape(len(x), -1).all(axis=1))[0]) for image in data.test.images
        ]
        np.testing.assert_array_equal(data.test.labels, y[at].astype(data.test.labels.dtype))


def test_targets_are_part_of_the_digest():
    x = np.zeros((4, 3), np.float32)
    digests = {
        from_arrays(x, y, x, y).train.digest()
        for y in (None, np.zeros(4), np.ones(4), np.zeros(4, int), np.ones(4, int), np.zeros((4, 2)))
    }
    assert len(digests) == 6
