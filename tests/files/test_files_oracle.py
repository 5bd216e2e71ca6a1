"""Every tensor of every real TFLite file, against TFLite Micro or LiteRT's reference kernels, bit for bit.

TFLite Micro runs all int8 files. It has no uint8 convolutions: those files are held against LiteRT.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcusim.core import BadData
from mcusim.data import Preprocessor, cifar10
from mcusim.files.tflite.reader import load_tflite
from mcusim.graph import WEIGHTED, Model
from mcusim.kernels.forward import forward

pytestmark = [pytest.mark.data, pytest.mark.oracle]

INT8 = (
    "coral_tf2_mobilenet_v2_1.0_224_ptq",
    "mlperftiny_ad01_int8",
    "mlperftiny_ic_pretrainedResnet_large_int8",
    "mlperftiny_ic_pretrainedResnet_quant",
    "mlperftiny_kws_ref_model",
    "mlperftiny_str_ww_ref_model",
    "mlperftiny_vww_96_int8",
    "tflm_hello_world_int8",
    "tflm_micro_speech_quantized",
    "tflm_mobilenet_v2_quantized_1x3x224x224",
    "tflm_person_detect",
    "tinyengine_detection",
    "tinyengine_mcunetv2_large",
    "tinyengine_vww",
    "tinytraining_mbv2-w0.35_128_int8",
)
UINT8 = (
    "coral_deeplabv3_mnv2_dm05_pascal_quant",
    "coral_mobilenet_v1_0.25_128_quant",
    "coral_mobilenet_v2_1.0_224_quant",
)

Reader = Callable[[int], np.ndarray]


def tflite_micro(path: Path, x: np.ndarray) -> Reader:
    """Return a function from op index to that op's output, as TFLite Micro computed it."""
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    schema = pytest.importorskip("tflite")
    keep = runtime.InterpreterConfig.kPreserveAllTensors
    interpreter = runtime.Interpreter.from_file(str(path), arena_size=64 * 1024**2, intrepreter_config=keep)
    graph = schema.Model.GetRootAsModel(path.read_bytes(), 0).Subgraphs(0)
    is_uint8 = graph.Tensors(graph.Inputs(0)).Type() == schema.TensorType.UINT8
    interpreter.set_input(x.view(np.uint8) ^ 128 if is_uint8 else x, 0)
    interpreter.invoke()
    return lambda i: np.asarray(interpreter.GetTensor(graph.Operators(i).Outputs(0), 0)["tensor_data"])


def litert(path: Path, x: np.ndarray) -> Reader:
    """Return a function from op index to that op's output, as LiteRT's reference kernels computed it."""
    module = pytest.importorskip("ai_edge_litert.interpreter")
    schema = pytest.importorskip("tflite")
    interpreter = module.Interpreter(
        model_path=str(path),
        experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    interpreter.set_tensor(details["index"], x.view(np.uint8) ^ 128 if details["dtype"] == np.uint8 else x)
    interpreter.invoke()
    graph = schema.Model.GetRootAsModel(path.read_bytes(), 0).Subgraphs(0)
    return lambda i: np.asarray(interpreter.get_tensor(graph.Operators(i).Outputs(0)))


def compute(model: Model, x: np.ndarray) -> list[np.ndarray]:
    """Return every op's output, as our kernels compute it."""
    values: dict[str, np.ndarray] = {model.inputs[0]: x}
    for op in model.ops:
        names = op.inputs[:1] if op.kind in WEIGHTED else op.inputs
        inputs = tuple(values[n] if n in values else np.asarray(model.tensors[n].data) for n in names)
        tensor = model.tensors[op.output]
        values[op.output] = np.zeros(tensor.shape, tensor.dtype)
        forward(op, model.tensors, model.arithmetic)(inputs, values[op.output])
    return [values[op.output] for op in model.ops]


def inputs_of(model: Model) -> list[np.ndarray]:
    """Return a random input and, for networks that look at pictures, two real ones."""
    rng = np.random.default_rng(0)
    if model.input.dtype == "float32":
        found: list[Any] = [rng.uniform(-1, 1, model.input.shape).astype(np.float32)]
    else:
        found = [rng.integers(-128, 128, model.input.shape).astype(np.int8)]
    pictures = cifar10().test.images[:2]
    try:
        prepare = Preprocessor(model, pictures.shape[1:])
    except BadData:
        return found  # speech, vibration, a sine: no pictures
    return [*found, *(x[None] for x in prepare(pictures))]


def check(path: Path, oracle: Callable[[Path, np.ndarray], Reader]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = load_tflite(path)
    for x in inputs_of(model):
        read = oracle(path, x)
        for i, (op, ours) in enumerate(zip(model.ops, compute(model, x), strict=True)):
            theirs = read(i)
            if theirs.dtype == np.uint8:
                theirs = (theirs ^ 128).view(np.int8)
            differ = f"op {i} ({op.kind}) {op.name}: {np.sum(ours != theirs)} differ"
            assert np.array_equal(ours, theirs), differ


@pytest.mark.parametrize("name", INT8)
def test_int8_files_agree_with_tflite_micro(data_dir: Path, name: str) -> None:
    check(data_dir / "tflite" / f"{name}.tflite", tflite_micro)


@pytest.mark.parametrize("name", UINT8)
def test_uint8_files_agree_with_litert(data_dir: Path, name: str) -> None:
    check(data_dir / "tflite" / f"{name}.tflite", litert)


def test_float_file_agrees_with_litert(data_dir: Path) -> None:
    from mcusim.compress.quantize import run

    path = data_dir / "tflite" / "mlperftiny_ic_pretrainedResnet_float.tflite"
    model = load_tflite(path)
    x = np.random.default_rng(0).integers(0, 256, model.input.shape).astype(np.float32)
    theirs = litert(path, x)(len(model.ops) - 1)
    assert np.allclose(run(model, x), theirs, rtol=1e-4, atol=1e-6)
