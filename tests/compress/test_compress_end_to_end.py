"""The way of a PyTorch network with its own head: quantised, planned, trained, exported, run by LiteRT."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import small_network

import mcusim
from mcusim.compress.quantize import from_torch, quantize
from mcusim.core import BadModel
from mcusim.data import Preprocessor, synthetic
from mcusim.engine.inference import Inference
from mcusim.files.load import load
from mcusim.files.save import save
from mcusim.graph import Model, Quant
from mcusim.graph.validate import validate
from mcusim.session.evaluation import evaluate, predictions

CLASSES = 10


def own_network() -> Model:
    """Return the int8 twin, by the defaults, of a PyTorch network whose classes have different ranges."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    nn = torch.nn
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES),
    ).eval()  # fmt: skip
    with torch.no_grad():
        module[-1].weight *= torch.logspace(-1, 1, CLASSES).reshape(-1, 1)
    floating = from_torch(module, (1, 3, 32, 32), name="own")
    data = synthetic("target", train=60, test=20)
    return quantize(floating, Preprocessor(floating, data.train.image_shape)(data.train.images))


@pytest.mark.oracle
def test_own_network_from_pytorch_to_litert(tmp_path: Path) -> None:
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    model = own_network()
    assert model.output.quant is not None
    assert model.output.quant.scale.shape == (1,)
    save(model, tmp_path / "own.npz")
    session = mcusim.Session(load(tmp_path / "own.npz"), mcusim.board("nrf52840"), "last-1", seed=0)
    assert session.plan().settings.formats.head == "int8"
    data = synthetic("target", train=60, test=40)
    plan, run = session.plan(), session.train(data, 1)
    assert run.memory.peak_bytes == plan.peak_bytes
    # Ten classes: an untrained network's loss is near ln 10, not in the thousands of raw accumulators.
    assert 0 < run.rows[-1]["loss"] < 3 * np.log(CLASSES)
    save(run.model, tmp_path / "own.tflite")
    interpreter = litert.Interpreter(str(tmp_path / "own.tflite"))
    interpreter.allocate_tensors()
    given, wanted = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    inputs = Preprocessor(run.model, data.test.image_shape)(data.test.images)
    theirs: list[Any] = []
    for image in inputs:
        interpreter.set_tensor(given["index"], image[None])
        interpreter.invoke()
        theirs.append(interpreter.get_tensor(wanted["index"])[0].argmax())
    ours = predictions(Inference(run.model).run(inputs), run.model.output)
    np.testing.assert_array_equal(ours, theirs)
    assert evaluate(run.model, data.test) == pytest.approx(np.mean(ours == data.test.labels))
    assert run.metric_after == pytest.approx(evaluate(run.model, data.test))


def test_accumulators_of_different_scales_are_refused() -> None:
    model = small_network(head="int8")
    output, weight = model.output, model.tensors["classifier.weight"]
    with pytest.raises(BadModel, match="one scale for all channels"):
        validate(model.with_tensors({output.name: replace(output, quant=None)}))
    assert weight.quant is not None
    per_channel = Quant(np.repeat(weight.quant.scale, 4), 0, 0)
    with pytest.raises(BadModel, match="one scale for all channels"):
        validate(model.with_tensors({weight.name: replace(weight, quant=per_channel)}))
