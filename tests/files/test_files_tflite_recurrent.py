"""LSTM of 8-bit activations: the integers of TFLite Micro, states, what passes and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arena_steps import train
from compatibility import large_board
from emulation_networks import drawn
from tflite_file import FLOAT32, INT32, FileSpec, OperatorSpec, TensorSpec

import mcusim
from mcusim.compress.quantize import run
from mcusim.core import BadModel
from mcusim.data import from_arrays
from mcusim.emulation.cores import core_named
from mcusim.emulation.twin import run_twin
from mcusim.engine.inference import Inference
from mcusim.files.tflite.reader import parse_tflite
from mcusim.update.formats import Formats

pytest.importorskip("flatbuffers")
INT16 = 7
TANH = 4
VARIABLE = {"variable": (5, "bool", True)}


def layer(
    times: int, *, inputs: int = 3, units: int = 4, cell: float = 2.0**-11, clip: float = 0.0, seed: int = 0
) -> FileSpec:
    """Return an LSTM alone."""
    rng = np.random.default_rng(seed)
    tensors = [TensorSpec("x", (1, times, inputs), scale=(0.03,), zero_point=(5,))]
    places = [-1] * 24
    places[0] = 0

    def add(place: int, name: str, shape: tuple[int, ...], **more: Any) -> None:
        places[place] = len(tensors)
        tensors.append(TensorSpec(name, shape, **more))

    for gate in range(4):
        for first, width in ((1, inputs), (5, units)):
            data = rng.integers(-127, 128, (units, width)).astype(np.int8)
            scale = (float(rng.uniform(0.004, 0.01)),)
            add(first + gate, f"w{first + gate}", data.shape, data=data, scale=scale)
        data = rng.integers(-2000, 2000, units).astype(np.int32)
        scale = (0.03 * tensors[places[1 + gate]].scale[0],)
        add(12 + gate, f"b{gate}", data.shape, type=INT32, data=data, scale=scale)
    add(18, "hidden", (1, units), scale=(0.0078,), zero_point=(-3,), extra=VARIABLE)
    add(19, "cell", (1, units), type=INT16, scale=(cell,), extra=VARIABLE)
    tensors.append(TensorSpec("y", (1, times, units), scale=(0.0078,), zero_point=(-3,)))
    options = {"activation": (0, "int8", TANH), "clip": (1, "float32", clip)}
    op = OperatorSpec(44, tuple(places), (len(tensors) - 1,), options, union=71)
    return FileSpec(tensors, [op], (0,), (len(tensors) - 1,))


def micro(data: bytes, sequence: np.ndarray) -> np.ndarray:
    """Return what TFLite Micro gives at each of some invocations."""
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    found = runtime.Interpreter.from_bytes(data, arena_size=1 << 20)
    outputs = []
    for x in sequence:
        found.set_input(x, 0)
        found.invoke()
        outputs.append(np.array(found.get_output(0)))
    return np.array(outputs)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "choice", [{}, {"clip": 0.4}, {"cell": 2.0**-15}, {"cell": 2.0**-12, "seed": 3}], ids=str
)
def test_a_sequence_gives_the_integers_of_tflite_micro(choice: Any) -> None:
    spec = layer(9, **choice)
    model = parse_tflite(spec.bytes(), "lstm")
    assert not model.states
    for seed in range(4):
        x = np.random.default_rng(seed).integers(-128, 128, model.input.shape).astype(np.int8)
        np.testing.assert_array_equal(Inference(model)(x), micro(spec.bytes(), x[None])[0])


@pytest.mark.oracle
def test_one_moment_at_a_time_keeps_its_state() -> None:
    spec = layer(1)
    model = parse_tflite(spec.bytes(), "lstm")
    assert {state.name for state in model.states} == {"hidden", "cell"}
    x = np.random.default_rng(1).integers(-128, 128, (7, *model.input.shape)).astype(np.int8)
    theirs = micro(spec.bytes(), x)
    for times in range(1, 8):
        np.testing.assert_array_equal(Inference(model)(x[None, :times, 0])[0], theirs[times - 1][0])


def classifier(times: int = 6, classes: int = 3) -> FileSpec:
    """Return a dense layer on what an LSTM gives over time."""
    spec, rng = layer(times), np.random.default_rng(9)
    units = 4 * times
    first = len(spec.tensors)
    weight = rng.integers(-90, 91, (classes, units)).astype(np.int8)
    spec.tensors += [
        TensorSpec("shape", (2,), INT32, np.array([1, units], np.int32), scale=()),
        TensorSpec("flat", (1, units), scale=(0.0078,), zero_point=(-3,)),
        TensorSpec("head.w", weight.shape, data=weight, scale=(0.01,)),
        TensorSpec("head.b", (classes,), INT32, np.zeros(classes, np.int32), (0.000078,)),
        TensorSpec("logits", (1, classes), scale=(0.05,)),
    ]
    spec.operators += [
        OperatorSpec(22, (first - 1, first), (first + 1,)),
        OperatorSpec(9, (first + 1, first + 2, first + 3), (first + 4,)),
    ]
    spec.outputs = (first + 4,)
    return spec


def test_the_classifier_behind_it_learns_and_goes_back_into_its_file(tmp_path: Path) -> None:
    spec = classifier()
    file = tmp_path / "m.tflite"
    file.write_bytes(spec.bytes())
    model = mcusim.load(file)
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (4, *model.input.shape)).astype(np.int8)
    runs = [
        train(model, "dense", Formats(), arena=arena, targets=(0, 1, 2, 0), x=x) for arena in (True, False)
    ]
    assert runs[0][0] == runs[1][0]
    assert {slot.of for slot in runs[0][1].arrays} == {"logits"}
    images = x[:, 0].repeat(4, axis=0)
    session = mcusim.Session(model, large_board(), "head", sgd=mcusim.Sgd(lr=0.05))
    run = session.train(from_arrays(images, np.arange(16) // 4 % 3), epochs=2)
    mcusim.save(run.model, tmp_path / "out.tflite", like=file)
    again = mcusim.load(tmp_path / "out.tflite")
    assert not np.array_equal(model.tensors["head.w"].data, again.tensors["head.w"].data)
    np.testing.assert_array_equal(Inference(again)(images), Inference(run.model)(images))
    with pytest.raises(BadModel, match=r"part of an LSTM.*like="):
        mcusim.save(run.model, tmp_path / "rebuilt.tflite")


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7"])
def test_its_firmware_gives_the_same_bytes(core: str) -> None:
    model = parse_tflite(classifier(2).bytes(), "lstm")
    session = mcusim.Session(model, large_board(), "head", sgd=mcusim.Sgd(lr=0.05))
    found = run_twin(session.plan(), session.scheme, drawn(model, 2), core_named(core))
    assert found.equal, str(found.first_difference)


def test_state_is_in_the_account_and_weights_are_there_once() -> None:
    model = parse_tflite(classifier(1).bytes(), "lstm")
    plan = mcusim.Session(model, large_board(), "head").plan()
    kept = {name: t.bytes for name, t in plan.step.tensors.items() if t.role == "state"}
    assert kept == {"hidden": 4, "cell": 2 * 4}
    plan = mcusim.Session(parse_tflite(classifier(6).bytes(), "lstm"), large_board(), "head").plan()
    items = [item for item in plan.flash.items if item.role == "weight"]
    # Weights once; what four gates make of the first hidden state, and the first cell, in 16 bits.
    assert sum(item.bytes for item in items) == 4 * (4 * 3 + 4 * 4) + 2 * 4 * 4 + 2 * 4
    summary = mcusim.show(parse_tflite(layer(9).bytes(), "lstm"))
    assert summary.weights == 4 * (4 * 3 + 4 * 4)
    assert {one.why_not for one in summary.layers if one.weights} == {
        "its weights are read by several ops, as by all moments of a recurrent layer"
    }


def changed(**tensors: Any) -> FileSpec:
    """Return the layer with fields of some of its tensors changed."""
    spec = layer(3)
    spec.tensors = [replace(t, **tensors.get(t.name, {})) for t in spec.tensors]
    return spec


def without(place: int) -> FileSpec:
    """Return the layer without one of its inputs."""
    spec = layer(3)
    (op,) = spec.operators
    spec.operators = [replace(op, inputs=(*op.inputs[:place], -1, *op.inputs[place + 1 :]))]
    return spec


def optioned(**options: Any) -> FileSpec:
    """Return the layer with other options."""
    spec = layer(3)
    spec.operators = [replace(spec.operators[0], options=spec.operators[0].options | options)]
    return spec


WRONG = {
    "lacks weights": without(3),
    "an input 9, of a peephole": replace(
        layer(3),
        operators=[
            replace(
                layer(3).operators[0],
                inputs=(*layer(3).operators[0].inputs[:9], 1, *[-1] * 2, *layer(3).operators[0].inputs[12:]),
            )
        ],
    ),
    "no tanh": optioned(activation=(0, "int8", 0)),
    "time comes before": optioned(major=(3, "bool", True)),
    "steps of 0.1": changed(cell={"scale": (0.1,)}),
    r"gives \(1, 12\)": changed(y={"shape": (1, 12)}),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_supported_is_said(name: str) -> None:
    with pytest.raises(BadModel, match=rf"op 0 \(UNIDIRECTIONAL_SEQUENCE_LSTM\).*{name}"):
        parse_tflite(WRONG[name].bytes(), "lstm")


def of_reals(times: int, *, hybrid: bool = False, clip: float = 0.0) -> FileSpec:
    """Return the same classifier of floats; ``hybrid``: with 8-bit weights, as tools call dynamic range."""
    spec, rng = classifier(times), np.random.default_rng(3)
    for tensor in spec.tensors:
        if tensor.type == INT32 and tensor.name == "shape":
            continue
        weight = tensor.name[0] == "w" and tensor.name != "whole"
        if weight and hybrid:
            continue
        if tensor.data is not None:
            tensor.data = rng.normal(0, 0.4, np.shape(tensor.data)).astype(np.float32)
        tensor.type, tensor.scale, tensor.zero_point = FLOAT32, (), ()
    spec.operators[0].options["clip"] = (1, "float32", clip)
    return spec


def litert(data: bytes, x: np.ndarray) -> np.ndarray:
    """Return what LiteRT gives."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    resolver = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    found = interpreter.Interpreter(model_content=data, experimental_op_resolver_type=resolver)
    found.allocate_tensors()
    found.set_tensor(found.get_input_details()[0]["index"], x)
    found.invoke()
    return found.get_tensor(found.get_output_details()[0]["index"])


@pytest.mark.oracle
@pytest.mark.parametrize(("hybrid", "clip"), [(False, 0.0), (False, 0.3), (True, 0.0)])
def test_a_layer_of_floats_is_computed_as_litert_does(hybrid: bool, clip: float) -> None:
    data = of_reals(6, hybrid=hybrid, clip=clip).bytes()
    x = np.random.default_rng(0).normal(size=(1, 6, 3)).astype(np.float32)
    # Activations of hybrid layers are rounded to 8 bits there.
    near = 0.05 if hybrid else 1e-5
    np.testing.assert_allclose(run(parse_tflite(data, "lstm"), x), litert(data, x), atol=near)


@pytest.mark.parametrize("hybrid", [False, True])
def test_a_layer_of_floats_is_quantised_and_its_classifier_learns(hybrid: bool) -> None:
    x = np.random.default_rng(1).normal(size=(48, 6, 3)).astype(np.float32)
    model = parse_tflite(of_reals(6, hybrid=hybrid).bytes(), "lstm")
    twin = mcusim.quantize(model, x)
    assert np.corrcoef(mcusim.predict(twin, x).ravel(), run(model, x).ravel())[0, 1] > 0.9
    session = mcusim.Session(twin, "stm32h743", "head", sgd=mcusim.Sgd(lr=0.05))
    done = session.train(from_arrays(x, (x.sum((1, 2)) > 0).astype(int)), epochs=8)
    assert done.rows[-1]["loss"] < done.rows[0]["loss"]
