"""Networks over signals: convolutions over time in TFLite's and ONNX's spelling."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_sessions import session
from tflite_file import INT32, FileSpec, OperatorSpec, TensorSpec

import mcusim
from mcusim.compress.quantize.forward import run
from mcusim.data import from_arrays
from mcusim.engine.inference import activations
from mcusim.files.tflite.reader import parse_tflite
from mcusim.simplify import simplified

RNG = np.random.default_rng(0)


def learns(model):
    """Return the losses of two epochs on random signals."""
    x = RNG.integers(-128, 128, (12, *model.input.shape[1:])).astype(np.int8)
    session = mcusim.Session(model, "stm32h743", "dense", sgd=mcusim.Sgd(lr=0.002))
    return [row["loss"] for row in session.train(from_arrays(x, np.arange(12) % 3), epochs=2).rows]


def test_a_temporal_network_of_tflite_loads_and_trains():
    """As Keras writes Conv1D: EXPAND_DIMS, a convolution 1xk, SQUEEZE."""
    pytest.importorskip("flatbuffers")

    def weight(name, *shape):
        scales = (0.02,) * shape[0]
        return TensorSpec(
            name, shape, data=RNG.integers(-90, 90, shape).astype(np.int8), scale=scales,
            zero_point=(0,) * shape[0],
        )  # fmt: skip

    one = np.array([1], np.int32)
    tensors = [
        TensorSpec("x", (1, 16, 3)), TensorSpec("axis", (1,), INT32, one, scale=()),
        TensorSpec("row", (1, 1, 16, 3)), weight("w", 4, 1, 3, 3),
        TensorSpec("y", (1, 1, 16, 4), scale=(0.5,)), TensorSpec("z", (1, 16, 4), scale=(0.5,)),
        TensorSpec("axes", (1,), INT32, one, scale=()), TensorSpec("m", (1, 4), scale=(0.5,)),
        weight("v", 3, 4), TensorSpec("o", (1, 3), scale=(0.2,)),
    ]  # fmt: skip
    window = {
        "padding": (0, "int8", 0), "w": (1, "int32", 1), "h": (2, "int32", 1), "dw": (4, "int32", 2),
        "dh": (5, "int32", 1),
    }  # fmt: skip
    operators = [
        OperatorSpec(70, (0, 1), (2,)), OperatorSpec(3, (2, 3), (4,), window), OperatorSpec(43, (4,), (5,)),
        OperatorSpec(40, (5, 6), (7,)), OperatorSpec(9, (7, 8), (9,)),
    ]  # fmt: skip
    model = parse_tflite(FileSpec(tensors, operators, outputs=(9,)).bytes(), "tcn")
    assert [str(op.kind) for op in model.ops] == ["reshape", "conv_2d", "reshape", "mean", "fully_connected"]
    assert model.op("y").attributes.dilation == (1, 2)
    first, last = learns(model)
    assert last < first


def network(*, quantised: bool):
    """Return two convolutions over a signal, its mean and a classifier, as ONNX; float or in the QDQ form."""
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    nodes, constants = [], {}

    def constant(name, array):
        constants[name] = array
        return name

    def scaled(name, scale, zero):
        if not quantised:
            return name
        s, z = constant(f"{name}.s", np.float32(scale)), constant(f"{name}.z", np.int8(zero))
        nodes.append(helper.make_node("QuantizeLinear", [name, s, z], [f"{name}.q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}.q", s, z], [f"{name}.d"]))
        return f"{name}.d"

    def weight(name, *shape):
        data = RNG.integers(-90, 90, shape).astype(np.int8)
        if not quantised:
            return constant(name, data.astype(np.float32) * np.float32(0.01))
        s, z = constant(f"{name}.s", np.float32(0.01)), constant(f"{name}.z", np.int8(0))
        nodes.append(helper.make_node("DequantizeLinear", [constant(f"{name}.q", data), s, z], [name]))
        return name

    x = scaled("x", 0.02, 0)
    for number, (channels, more) in enumerate(
        ((4, {"pads": [2, 0]}), (5, {"strides": [2], "dilations": [2]}))
    ):
        given = 3 if not number else 4
        nodes.append(
            helper.make_node("Conv", [x, weight(f"w{number}", channels, given, 3)], [f"c{number}"], **more)
        )
        nodes.append(helper.make_node("Relu", [f"c{number}"], [f"r{number}"]))
        x = scaled(f"r{number}", 0.04, -128)
    nodes.append(helper.make_node("ReduceMean", [x], ["m"], axes=[2], keepdims=0))
    x = scaled("m", 0.02, -128)
    nodes.append(helper.make_node("Gemm", [x, weight("v", 3, 5)], ["o"], transB=1))
    output = scaled("o", 0.05, 0)
    graph = helper.make_graph(
        nodes, "signal", [helper.make_tensor_value_info("x", 1, (1, 3, 16))],
        [helper.make_tensor_value_info(output, 1, (1, 3))],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.mark.parametrize("quantised", [False, True])
def test_a_temporal_network_of_onnx_is_what_onnx_runtime_computes(quantised, tmp_path):
    pytest.importorskip("onnxruntime")
    proto, path = network(quantised=quantised), tmp_path / "signal.onnx"
    path.write_bytes(proto.SerializeToString())
    model = mcusim.load(path)
    x = RNG.normal(size=(1, 3, 16)).astype(np.float32)
    (theirs,) = session(str(path)).run(None, {"x": x})
    if quantised:
        ours = activations(model, x)[model.outputs[0]]
        np.testing.assert_allclose(ours, theirs, atol=0.0501)
        kinds = [str(op.kind) for op in simplified(model).model.ops]
        assert kinds.count("transpose") <= 2  # what stood between the convolutions is gone
    else:
        np.testing.assert_allclose(run(model, x), theirs, rtol=1e-4, atol=1e-5)
