"""Real networks: the public int8 models against plain numpy, and .tflite files against TFLite itself."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from mcusim.files.graph_json import load_graph_json
from mcusim.files.tflite.reader import load_tflite
from mcusim.kernels.compiled.prepared import Workspace
from mcusim.kernels.forward import forward

pytestmark = pytest.mark.data
PUBLIC = ("mbv2-w0.35", "mcunet-5fps", "proxyless-w0.3")
TFLITE = (
    "coral_mobilenet_v1_0.25_128_quant", "mlperftiny_ad01_int8", "mlperftiny_ic_pretrainedResnet_quant",
    "mlperftiny_ic_pretrainedResnet_large_int8", "mlperftiny_kws_ref_model", "mlperftiny_str_ww_ref_model",
    "mlperftiny_vww_96_int8", "tflm_hello_world_int8", "tflm_micro_speech_quantized", "tflm_person_detect",
    "tinyengine_detection", "tinyengine_vww", "tinytraining_mbv2-w0.35_128_int8",
    "tflm_mobilenet_v2_quantized_1x3x224x224",
)  # fmt: skip


def run(model, x):
    """Return every activation by name."""
    values, workspace = {model.inputs[0]: x}, Workspace()
    for op in model.ops:
        y = model.tensors[op.output]
        values[op.output] = np.empty((len(x), *y.shape[1:]) if len(y.shape) == 4 else y.shape, y.dtype)
        constants = [n for n in op.inputs if model.tensors[n].constant and op.weight is None]
        inputs = tuple(
            model.tensors[n].data if n in constants else values[n]
            for n in op.inputs
            if n in values or n in constants
        )
        forward(op, model.tensors, model.arithmetic, workspace=workspace)(inputs, values[op.output])
    return values


def plain_convolution(x, layer, arrays):
    """The ``arithmetic`` entry of the json files, in plain numpy: NCHW int64 sums, float32 rescaling."""
    w = arrays[layer["weight"]].astype(np.int64)
    ph, pw = layer["padding"]
    (sh, sw), (kh, kw), (oh, ow) = layer["stride"], layer["kernel"], layer["out_hw"]
    x = np.pad(x.astype(np.int64) - layer["input_zero_point"], ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    acc = np.zeros((len(x), w.shape[0], oh, ow), np.int64)
    for i in range(kh):
        for j in range(kw):
            patch = x[:, :, i : i + sh * (oh - 1) + 1 : sh, j : j + sw * (ow - 1) + 1 : sw]
            if layer["depthwise"]:
                acc += patch * w[:, 0, i, j][:, None, None]
            else:
                acc += np.einsum("nchw,oc->nohw", patch.astype(float), w[:, :, i, j].astype(float)).astype(
                    int
                )
    acc += arrays[layer["bias"]].astype(np.int64)[:, None, None]
    s = layer["input_scale"] * arrays[layer["weight_scales"]].astype(np.float64) / layer["output_scale"]
    q = np.rint(acc.astype(np.float32) * s.astype(np.float32)[:, None, None])
    return np.clip(q.astype(np.int64) + layer["output_zero_point"], -128, 127).astype(np.int8)


def images(data_dir, size):
    """Return two random inputs and two real pictures, enlarged by repetition, as NHWC int8."""
    import tarfile

    rng = np.random.default_rng(1)
    inputs = [rng.integers(-128, 128, (2, size, size, 3))]
    archive = data_dir / "cifar-10-binary.tar.xz"
    if archive.exists():
        with tarfile.open(archive) as tar:
            member = next(m for m in tar if m.name.endswith(".bin"))
            raw = np.frombuffer(tar.extractfile(member).read(2 * 3073), np.uint8).reshape(2, 3073)
        pixels = raw[:, 1:].reshape(2, 3, 32, 32).transpose(0, 2, 3, 1).astype(np.float32)
        large = pixels.repeat(size // 32, 1).repeat(size // 32, 2)
        inputs.append(np.clip(np.rint(large - 127.5), -128, 127).astype(np.int64))
    return np.concatenate(inputs).astype(np.int8)


@pytest.mark.parametrize("name", PUBLIC)
def test_all_convolutions_of_the_public_models_equal_plain_numpy(data_dir, name):
    path = data_dir / "models" / f"{name}-int8.json"
    model = load_graph_json(path)
    layers = {layer["id"]: layer for layer in json.loads(path.read_text())["layers"]}
    x = images(data_dir, model.input.shape[1])
    values = run(model, x)
    with np.load(path.with_suffix(".npz")) as arrays:
        arrays = dict(arrays)
    compared = 0
    for layer in layers.values():
        if layer["op"] != "conv2d":
            continue
        source = values[layer["inputs"][0]].transpose(0, 3, 1, 2)
        expected = plain_convolution(source, layer, arrays)
        np.testing.assert_array_equal(values[layer["id"]].transpose(0, 3, 1, 2), expected, layer["id"])
        compared += 1
    assert compared >= 43


@pytest.mark.oracle
@pytest.mark.parametrize("name", TFLITE)
def test_tflite_micro_gives_the_same_output(data_dir, name):
    runtime = pytest.importorskip("tflite_micro").runtime
    path = data_dir / "tflite" / f"{name}.tflite"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = load_tflite(path)
    try:
        oracle = runtime.Interpreter.from_file(str(path))
    except RuntimeError:
        pytest.skip("TFLite Micro does not run this file")
    unsigned = oracle.get_input_details(0)["dtype"] == np.uint8
    rng = np.random.default_rng(5)
    for _ in range(2):
        if model.input.dtype == "float32":
            x = rng.standard_normal(model.input.shape).astype(np.float32)
        else:
            x = rng.integers(-128, 128, model.input.shape).astype(np.int8)
        oracle.set_input((x.view(np.uint8) ^ 128) if unsigned else x, 0)
        oracle.invoke()
        expected = oracle.get_output(0)
        mine = run(model, x)[model.outputs[0]]
        if expected.dtype == np.uint8:
            expected = (expected ^ 128).view(np.int8)
        np.testing.assert_array_equal(mine, expected)


@pytest.mark.oracle
@pytest.mark.parametrize("name", [*TFLITE, "tinyengine_mcunetv2_large", "coral_mobilenet_v2_1.0_224_quant"])
def test_litert_reference_kernels_give_the_same_tensors(data_dir, name):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    path = data_dir / "tflite" / f"{name}.tflite"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = load_tflite(path)
    try:
        oracle = interpreter.Interpreter(
            str(path),
            experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
    except ValueError:
        pytest.skip("LiteRT refuses this file")
    oracle.allocate_tensors()
    details = oracle.get_input_details()[0]
    rng = np.random.default_rng(6)
    if details["dtype"] == np.float32:
        x = rng.standard_normal(model.input.shape).astype(np.float32)
    else:
        x = rng.integers(-128, 128, model.input.shape).astype(np.int8)
    unsigned = details["dtype"] == np.uint8
    oracle.set_tensor(details["index"], (x.view(np.uint8) ^ 128) if unsigned else x)
    oracle.invoke()
    theirs: dict[str, list] = {}
    for detail in oracle.get_tensor_details():
        theirs.setdefault(detail["name"], []).append(detail["index"])
    values, compared = {model.inputs[0]: x}, 0
    for op in model.ops:
        y = model.tensors[op.output]
        inputs = [
            values[n] if n in values else model.tensors[n].data
            for n in op.inputs[: 1 if op.weight is not None else None]
        ]
        out = np.empty(y.shape, y.dtype)
        forward(op, model.tensors, model.arithmetic)(tuple(inputs), out)
        values[op.output] = out
        for index in theirs.get(op.output, []):
            try:
                expected = oracle.get_tensor(index)
            except ValueError:
                continue
            if expected.shape != out.shape:
                continue
            if expected.dtype == np.uint8:
                expected = (expected ^ 128).view(np.int8)
            difference = np.abs(expected.astype(float) - out.astype(float))
            # LiteRT's fully connected kernel rounds once, TFLite Micro's twice; we follow the latter.
            single = op.kind == "fully_connected"
            assert difference.max(initial=0) <= single, op.name
            assert np.count_nonzero(difference) <= (0.05 * out.size + 1 if single else 0), op.name
            values[op.output] = expected
            compared += 1
    assert compared >= len(model.ops) // 2
