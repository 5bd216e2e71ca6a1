"""Learned weights put back into the file that a network came from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tflite_file import FileSpec, OperatorSpec, TensorSpec

import mcusim
from mcusim.core import BadArgument, BadModel
from mcusim.data import from_arrays
from mcusim.files.tflite.patch import patched
from mcusim.files.tflite.reader import parse_tflite
from mcusim.graph import Model

pytest.importorskip("tflite")


def moved(model: Model, seed: int = 0) -> Model:
    """Return a network all of whose weights and biases are others."""
    rng = np.random.default_rng(seed)
    changed = {}
    for op in model.ops:
        for name in (op.weight, op.bias):
            tensor = None if name is None else model.tensors[name]
            if tensor is not None and tensor.data is not None:
                changed[tensor.name] = replace(tensor, data=rng.permuted(tensor.data, axis=0)[::-1].copy())
    return model.with_tensors(changed)


def arrays(model: Model) -> dict[str, np.ndarray]:
    """Return all constants."""
    return {name: np.asarray(t.data) for name, t in model.tensors.items() if t.data is not None}


def litert(data: bytes, x: np.ndarray) -> np.ndarray:
    """Return what LiteRT's reference kernels make of one input."""
    lite = pytest.importorskip("ai_edge_litert.interpreter")
    reference = lite.OpResolverType.BUILTIN_REF
    runner = lite.Interpreter(model_content=data, experimental_op_resolver_type=reference)
    runner.allocate_tensors()
    (given,), (output,) = runner.get_input_details(), runner.get_output_details()
    runner.set_tensor(given["index"], x.astype(given["dtype"]))
    runner.invoke()
    return runner.get_tensor(output["index"])


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    [
        "mlperftiny_kws_ref_model",
        "mlperftiny_str_ww_ref_model",  # two tensors share a buffer
        "mlperftiny_ad01_int8",
        "coral_mobilenet_v1_0.25_128_quant",  # unsigned
        "tinyengine_vww",
        "tflm_person_detect",
    ],
)
@pytest.mark.filterwarnings("ignore:.*have one dimension")
def test_only_weights_change_in_real_files(data_dir: Path, name: str) -> None:
    path = data_dir / "tflite" / f"{name}.tflite"
    data = path.read_bytes()
    model = mcusim.load(path)
    assert patched(data, path.name, model) == data
    other = moved(model)
    found = patched(data, path.name, other)
    back = parse_tflite(found, path.name)
    assert [(op.name, op.kind, op.inputs, op.attributes) for op in back.ops] == [
        (op.name, op.kind, op.inputs, op.attributes) for op in model.ops
    ]
    ours, theirs = arrays(other), arrays(back)
    assert all(np.array_equal(ours[constant], theirs[constant]) for constant in ours)
    parameters = sum(t.bytes for t in other.tensors.values() if t.constant)
    changed = sum(a != b for a, b in zip(found, data, strict=False))
    assert 0 < changed <= parameters + 8


@pytest.mark.data
@pytest.mark.parametrize("name", ["mlperftiny_kws_ref_model", "mlperftiny_str_ww_ref_model"])
def test_litert_runs_the_trained_network_from_its_own_file(data_dir: Path, tmp_path: Path, name: str) -> None:
    path = data_dir / "tflite" / f"{name}.tflite"
    model = mcusim.load(path)
    x = np.random.default_rng(0).integers(-128, 128, (12, *model.input.shape[1:])).astype(np.int8)
    data = from_arrays(x, np.arange(12) % model.classes % 2)
    run = mcusim.Session(model, "stm32h743", "dense", sgd=mcusim.Sgd(lr=0.05)).train(data)
    out = tmp_path / "trained.tflite"
    mcusim.save(run.model, out, like=path)
    ours = mcusim.predict(run.model, x[:3])
    for i in range(3):
        theirs = litert(out.read_bytes(), x[i : i + 1])
        quant = run.model.output.quant
        reals = (
            (theirs.astype(np.float32) - quant.zero_point) * quant.scale
            if theirs.dtype == np.int8
            else theirs
        )
        np.testing.assert_allclose(ours[i], reals.reshape(ours[i].shape), atol=1e-6)
    assert np.abs(ours - mcusim.predict(model, x[:3])).max() > 0


def spec(batch: int = 1, *, shared: bool = False) -> FileSpec:
    """Return a file of two 1x1 convolutions in a row; their weights may share a buffer."""
    weight = np.arange(9, dtype=np.int8)
    tensors = [
        TensorSpec("x", (batch, 2, 2, 3)), TensorSpec("w1", (3, 1, 1, 3), data=weight),
        TensorSpec("y1", (batch, 2, 2, 3)),
        TensorSpec("w2", (3, 1, 1, 3), data=weight, buffer=1 if shared else None),
        TensorSpec("y2", (batch, 2, 2, 3)),
    ]  # fmt: skip
    stride = {"w": (1, "int32", 1), "h": (2, "int32", 1)}
    operators = [OperatorSpec(3, (0, 1), (2,), stride), OperatorSpec(3, (2, 3), (4,), stride)]
    return FileSpec(tensors, operators, outputs=(4,))


def test_a_batch_in_the_file_stays_there(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(spec(batch=4).bytes())
    model = mcusim.load(path)
    assert model.input.shape[0] == 1
    other = moved(model)
    mcusim.save(other, tmp_path / "out.tflite", like=path)
    back = parse_tflite((tmp_path / "out.tflite").read_bytes(), "out")
    assert back.input.shape[0] == 4
    assert all(np.array_equal(array, arrays(back)[name]) for name, array in arrays(other).items())


def test_weights_that_share_a_buffer_learn_two_values_if_there_is_room_for_them() -> None:
    data = spec(shared=True).bytes()
    model = parse_tflite(data, "net")
    other = moved(model)
    assert not np.array_equal(arrays(other)["w1"], arrays(other)["w2"])
    with pytest.raises(BadModel, match=r"share values that differ now.*without like="):
        patched(data, "net", other)
    same = model.with_tensors({
        n: replace(model.tensors[n], data=arrays(other)["w1"]) for n in ("w1", "w2")
    })  # fmt: skip
    assert np.array_equal(arrays(parse_tflite(patched(data, "net", same), "net"))["w2"], arrays(other)["w1"])


@pytest.mark.data
def test_another_network_than_that_of_the_file_is_refused(data_dir: Path, tmp_path: Path) -> None:
    path = data_dir / "tflite" / "mlperftiny_kws_ref_model.tflite"
    out = tmp_path / "out.tflite"
    for model in (
        mcusim.load(path, classes=3),
        mcusim.load(data_dir / "tflite" / "mlperftiny_vww_96_int8.tflite"),
    ):
        with pytest.raises(BadModel, match="without like="):
            mcusim.save(model, out, like=path)
    with pytest.raises(BadArgument, match=r"no \.tflite file like another"):
        mcusim.save(mcusim.load(path), tmp_path / "out.npz", like=path)
    with pytest.raises(BadModel, match="cannot be read"):
        mcusim.save(mcusim.load(path), out, like=tmp_path / "none.tflite")
    assert not list(tmp_path.iterdir())
