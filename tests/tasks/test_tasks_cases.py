"""Small networks of kinds that were once trained for something else than asked: each on the right task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from files_cases import case
from one_op import Edge, alone

import mcusim
from mcusim.core import BadData, BadModel, UnknownName
from mcusim.data import from_arrays
from mcusim.graph import OpKind
from mcusim.session.experiment import Experiment
from mcusim.tasks.choice import Labels, choose

BOARD = mcusim.board("stm32h743")


def file(name):
    """Return one of the TFLite files among the cases."""
    return case(f"{name}.tflite")


def network(name):
    """Return the network of one of them."""
    return mcusim.load(file(name))


def train(model, y, count=40, **options):
    """Return the run of one epoch on examples that fill the input's range, and targets made of them."""
    x = np.random.default_rng(0).integers(-128, 128, (count, *model.input.shape[1:])).astype(np.int8)
    return mcusim.Session(model, BOARD, "dense", **options).train(from_arrays(x, y(x)))


@pytest.mark.parametrize(
    ("name", "y", "task"),
    [
        ("four_features_four_classes", lambda x: x.argmax(axis=1), "classification"),
        ("sine_regression", lambda x: np.sin(x / 50), "regression"),
        ("binary_sigmoid", lambda x: (x[:, 0] > 0).astype(int), "binary"),
        ("segmentation", lambda x: (x[..., 0] > 0).astype(int), "segmentation"),
        ("conv_autoencoder", lambda x: None, "reconstruction"),
        ("fc_head_no_bias", lambda x: np.arange(len(x)) % 5, "classification"),
        ("global_conv_head", lambda x: np.arange(len(x)) % 5, "classification"),
    ],
)
def test_each_is_trained_for_what_the_data_say(name, y, task):
    run = train(network(name), y)
    assert run.plan.settings.task == task
    assert run.rows[0]["loss"] > 0
    before = network(name).tensors
    assert any(
        t.constant and not np.array_equal(t.data, before[n].data) for n, t in run.model.tensors.items()
    )


def test_what_is_not_supported_is_refused_with_the_reason():
    with pytest.raises(BadData, match="have no labels"):
        train(network("sine_regression"), lambda x: None)
    with pytest.raises(BadModel, match=r"2 outputs: 'fc4' \[1, 5\], 'fc5' \[1, 3\].*output='fc4'"):
        mcusim.Session(network("two_heads_5_3"), BOARD, "dense").plan()
    with pytest.raises(BadModel, match="segmentation or regression"):
        mcusim.Session(network("segmentation"), BOARD, "dense").plan()


def test_a_batch_in_the_file_becomes_one_example():
    model = network("batch4_classifier")
    assert (model.input.shape, model.output.shape) == ((1, 8, 8, 3), (1, 5))
    assert model.head is not None
    run = train(model, lambda x: np.arange(len(x)) % 5)
    assert run.plan.settings.task == "classification"
    assert run.plan.as_dict()["macs"]["forward"] < 10_000  # of one example, not of four


@pytest.mark.parametrize(("output", "name", "classes"), [("0", "fc4", 5), ("1", "fc5", 3), ("fc5", "fc5", 3)])
def test_the_head_that_is_chosen_learns_and_the_other_stays(output, name, classes):
    model = network("two_heads_5_3")
    run = train(model, lambda x: np.arange(len(x)) % classes, output=output)
    assert run.plan.settings.output == name
    assert f"classification of {name}, update dense" in str(run.plan).splitlines()[0]
    assert run.plan.step.model.outputs == (name,)
    assert run.model.outputs == model.outputs
    changed = {
        op.name
        for op in model.ops
        if op.weight and not run.model.tensors[op.weight].same_as(model.tensors[op.weight])
    }
    assert changed == {"conv1", name}


def test_a_fresh_head_takes_the_place_of_the_output_that_is_chosen():
    found = Experiment(model=str(file("two_heads_5_3")), output="1", classes=7).network()
    assert found.model.classes == 7
    assert found.settings.output == "auto"
    assert "its own has 3" in found.note
    same = Experiment(model=str(file("two_heads_5_3")), output="1", classes=3).network()
    assert (same.model.outputs, same.settings.output, same.note) == (("fc4", "fc5"), "1", "")


def test_predictions_are_of_the_output_that_is_asked_for():
    model, x = network("two_heads_5_3"), np.zeros((2, 8, 8, 3), np.int8)
    assert mcusim.predict(model, x, output="fc5").shape == (2, 3)
    assert mcusim.predict(model, x, output="0").shape == (2, 5)
    with pytest.raises(BadModel, match="2 outputs"):
        mcusim.predict(model, x)


def test_an_output_that_is_not_there_is_refused_and_inference_alone_needs_no_choice():
    model = network("two_heads_5_3")
    with pytest.raises(UnknownName, match="fc5"):
        mcusim.Session(model, BOARD, "dense", output="fc6").plan()
    plan = mcusim.Session(model, BOARD, "none").plan()
    assert plan.fits
    assert plan.step.model.outputs == ("fc4", "fc5")


@pytest.mark.parametrize("name", ["global_conv_head", "fc_head_no_bias", "binary_sigmoid"])
@pytest.mark.parametrize("classes", [None, 4])
def test_the_head_is_found_trained_and_replaceable(name, classes):
    model = mcusim.load(file(name), classes=classes)
    assert model.head is not None
    count = max(model.classes, 2)
    x = np.random.default_rng(0).integers(-128, 128, (40, *model.input.shape[1:])).astype(np.int8)
    run = mcusim.Session(model, BOARD, "head").train(from_arrays(x, np.arange(40) % count), epochs=3)
    assert run.rows[-1]["loss"] < run.rows[0]["loss"]


@pytest.mark.data
@pytest.mark.parametrize("classes", [None, 3])
def test_squeezenet_learns_with_its_own_head_and_a_fresh_one(data_dir, classes):
    model = mcusim.load(data_dir / "zoo" / "st_squeezenet_v1.1_128_v1.tflite", classes=classes)
    assert model.head is not None
    x = np.random.default_rng(0).integers(-128, 128, (6, *model.input.shape[1:])).astype(np.int8)
    run = mcusim.Session(model, BOARD, "head").train(from_arrays(x, np.arange(6) % 3), epochs=2)
    assert run.plan.settings.task == "classification"
    assert run.rows[-1]["loss"] < run.rows[0]["loss"]


def test_two_inputs_are_planned_and_trained():
    model = network("two_inputs_concat")
    assert model.inputs == ("input", "second")
    rng = np.random.default_rng(0)
    x = {name: rng.integers(-128, 128, (40, 8)).astype(np.int8) for name in model.inputs}
    run = mcusim.Session(model, BOARD, "dense").train(from_arrays(x, np.arange(40) % 3), epochs=2)
    assert run.plan.settings.task == "classification"
    assert run.rows[-1]["loss"] < run.rows[0]["loss"]
    with pytest.raises(BadData, match="2 inputs: input, second"):
        train(model, lambda x: np.arange(len(x)) % 3)


def test_a_float_op_at_the_end_is_part_of_the_loss_and_refused_by_itself():
    model = mcusim.load(case("qdq_then_float_sigmoid.onnx"))
    run = train(model, lambda x: (x[:, :4] > 0).astype(int))
    assert run.plan.settings.task == "multi-label"
    assert run.rows[0]["loss"] > 0
    with pytest.raises(BadModel, match=r"'y' .*mcusim quantize"):
        mcusim.predict(model, np.zeros((1, 6), np.int8))


def test_every_case_has_a_test():
    written = "".join(path.read_text("utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    folder = case("binary_sigmoid.tflite").parent
    files = [path for path in folder.iterdir() if path.suffix in (".tflite", ".onnx")]
    assert files
    assert not [path.name for path in files if path.stem not in written]


@pytest.mark.parametrize(
    ("name", "task", "head"),
    [
        ("four_features_four_classes", "classification", "fc2"), ("binary_sigmoid", "binary", "fc2"),
        ("sine_regression", "regression", "fc2"), ("segmentation", "", None), ("two_heads_5_3", "", None),
        ("conv_autoencoder", "reconstruction", None),
    ],
)  # fmt: skip
def test_a_network_says_task_head_arithmetic_and_twin(name, task, head):
    model = network(name)
    assert (model.task, model.head, str(model.arithmetic)) == (task, head, "tflite")
    assert "TFLite Micro" in model.twin
    said = repr(model)
    for word in (task or "no task said", head or "no head", "tflite", model.twin):
        assert word in said


def test_a_class_for_every_pixel_is_no_class_of_the_whole():
    model = alone(OpKind.ARG_MAX, Edge("pixels", {"axes": (3,)}))
    assert model.output.shape == (1, 4, 6)
    with pytest.raises(BadModel, match="one vector of scores"):
        choose(model, "auto", Labels(np.arange(4)))
    with pytest.raises(BadModel, match="does not say what it is for"):
        choose(model)


def test_an_input_without_a_batch_is_refused(tmp_path):
    model = alone(OpKind.ABS, Edge("flat", shape=(12,)))
    with pytest.raises(BadModel, match=r"input 'x' \[12\]: has no dimension for a batch.*\[1, 12\]"):
        choose(model)
