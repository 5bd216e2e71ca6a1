from __future__ import annotations

import numpy as np
import pytest

from mcusim.compress.quantize import run_int8
from mcusim.compress.quantize.int8 import Int8Network
from mcusim.data import synthetic
from mcusim.data.preprocess import Preprocessor
from mcusim.files.load import load
from mcusim.graph import Arithmetic


@pytest.mark.parametrize(("domain", "low", "high"), [("source", 0.97, 1.0), ("target", 0.4, 0.65)])
def test_shipped_network_knows_the_source_and_not_the_target(domain: str, low: float, high: float) -> None:
    model = load("synthetic-mbv2")
    data = synthetic(domain, train=10, test=300)
    assert model.labels == data.labels
    inputs = Preprocessor(model, data.test.image_shape)(data.test.images)
    np.testing.assert_array_equal(inputs, data.test.images.astype(np.int16) - 128)
    reals = (inputs.astype(np.float32) - model.input.quant.zero_point) / 128  # type: ignore[union-attr]
    right = run_int8(model, reals).argmax(1) == data.test.labels
    assert low <= right.mean() <= high


def test_shipped_network_is_small_and_whole() -> None:
    model = load("synthetic-mbv2")
    assert model.conv_weights == 29_104
    assert model.arithmetic is Arithmetic.TFLITE
    assert model.head == "classifier"
    assert model.output.dtype == "float32"
    assert {op.name for op in model.ops} >= {"stem", "blocks.6.expand", "blocks.6.add", "pool"}
    scales = np.concatenate([model.tensors[op.inputs[1]].quant.scale for op in model.convolutions])  # type: ignore[union-attr]
    assert scales.min() > 1e-5
    assert Int8Network(model)(np.zeros((1, 32, 32, 3), np.float32))["pool"].shape == (1, 32)
