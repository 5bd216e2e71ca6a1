"""Small networks of kinds that were once trained for something else than asked: each on the right task."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import mcusim
from mcusim.core import BadData, BadModel
from mcusim.data import from_arrays
from mcusim.tasks.task import TASKS

BOARD = mcusim.board("stm32h743")


def network(name):
    """Return one of the networks beside the real data."""
    pytest.importorskip("tflite")
    path = Path(os.environ.get("MCUSIM_DATA", ".")).parent / "cases" / f"{name}.tflite"
    if not path.is_file():
        pytest.skip("the cases are not here")
    return mcusim.load(path)


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
    with pytest.raises(BadModel, match=r"2 outputs: 'fc4' \[1, 5\], 'fc5' \[1, 3\]"):
        mcusim.Session(network("two_heads_5_3"), BOARD, "dense").plan()
    with pytest.raises(BadModel, match=r"2 inputs: 'input' \[1, 8\], 'second' \[1, 8\]"):
        mcusim.Session(network("two_inputs_concat"), BOARD, "dense").plan()
    with pytest.raises(BadModel, match="segmentation or regression"):
        mcusim.Session(network("segmentation"), BOARD, "dense").plan()


@pytest.mark.parametrize("task", ["auto", *TASKS])
def test_a_batch_in_the_file_is_never_learned_as_one_example(task):
    with pytest.raises(BadModel, match=r"batches of 4 examples.*batch of 1"):
        mcusim.Session(network("batch4_classifier"), BOARD, "dense", task=task).plan()
