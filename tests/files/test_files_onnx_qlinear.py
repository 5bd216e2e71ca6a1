"""ONNX files as ONNX Runtime's quantiser writes them, in both of its forms: the integers that it computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from compatibility import compute, real  # noqa: E402
from files_onnx_file import proto  # noqa: E402
from onnx import helper  # noqa: E402
from onnx_nodes import computed  # noqa: E402
from onnxruntime import quantization  # noqa: E402

import mcusim  # noqa: E402
from mcusim.compress.quantize import run  # noqa: E402
from mcusim.core import BadModel  # noqa: E402
from mcusim.data import from_arrays  # noqa: E402
from mcusim.files.onnx.qlinear import KINDS  # noqa: E402
from mcusim.files.onnx.reader import load_onnx  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:float32 examples are taken as real values")
SHAPE = (1, 3, 12, 12)
FORMS = {"QDQ": quantization.QuantFormat.QDQ, "QOperator": quantization.QuantFormat.QOperator}
TYPES = {"uint8": quantization.QuantType.QUInt8, "int8": quantization.QuantType.QInt8}


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(0, 0.4, shape).astype(np.float32)


def network() -> Any:
    """Return a float network of what either form has an operator for."""

    def n(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
        return helper.make_node(kind, inputs.split(), [output], name=output, **attributes)

    nodes = [
        n("Conv", "x w b", "c", strides=[2, 2], pads=[1, 1, 1, 1]), n("Relu", "c", "r"),
        n("MaxPool", "r", "m", kernel_shape=[2, 2], strides=[2, 2]),
        n("Conv", "m d", "e", group=8, pads=[1, 1, 1, 1]), n("LeakyRelu", "e", "l", alpha=0.2),
        n("Sigmoid", "l", "s"), n("Mul", "l s", "t"), n("Add", "t m", "a"),
        n("Concat", "a m", "j", axis=1), n("GlobalAveragePool", "j", "g"), n("Flatten", "g", "f"),
        n("Gemm", "f h i", "y", transB=1),
    ]  # fmt: skip
    constants = {
        "w": weights(8, 3, 3, 3), "b": weights(8), "d": weights(8, 1, 3, 3), "h": weights(4, 16),
        "i": weights(4),
    }  # fmt: skip
    return proto(nodes, constants, {"x": SHAPE}, ["y"])


class Examples(quantization.CalibrationDataReader):  # type: ignore[misc]
    """What the quantiser calibrates with."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._left = [{"x": rng.normal(size=SHAPE).astype(np.float32)} for _ in range(6)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self._left.pop() if self._left else None


def quantised(folder: Path, form: str, kind: str) -> Path:
    onnx.save(network(), folder / "float.onnx")
    file = folder / "quantised.onnx"
    quantization.quantize_static(
        folder / "float.onnx", file, Examples(), quant_format=FORMS[form], activation_type=TYPES[kind],
        weight_type=TYPES["int8"], per_channel=kind == "int8",
    )  # fmt: skip
    return file


@pytest.mark.oracle
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_integers_of_onnx_runtime_and_learns(
    tmp_path: Path, form: str, kind: str
) -> None:
    file = quantised(tmp_path, form, kind)
    model = load_onnx(file)
    kinds = {node.op_type for node in onnx.load(file).graph.node}
    assert (form == "QOperator") == bool(kinds & {*KINDS})
    x = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    (theirs,) = computed(file.read_bytes(), x)
    ours = real(model.output, compute(model, [np.ascontiguousarray(x.transpose(0, 2, 3, 1))]))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    images = np.random.default_rng(2).normal(size=(12, 12, 12, 3)).astype(np.float32)
    session = mcusim.Session(model, "stm32h743", "last-2", sgd=mcusim.Sgd(lr=0.05))
    done = session.train(from_arrays(images, np.arange(12) % 4), epochs=3)
    assert done.rows[-1]["loss"] < done.rows[0]["loss"]


def test_an_operator_on_integers_that_lacks_a_scale_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("QLinearSigmoid", ["x", "s"], ["y"], domain="com.microsoft")]
    file = tmp_path / "m.onnx"
    file.write_bytes(proto(nodes, {"s": np.float32(0.1)}, {"x": (1, 3)}, ["y"]).SerializeToString())
    with pytest.raises(BadModel, match=r"node 0 \(QLinearSigmoid\): has 2 inputs"):
        load_onnx(file)


def test_half_precision_is_a_float_network(tmp_path: Path) -> None:
    model = network()
    for tensor in model.graph.initializer:
        half = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(half, tensor.name))
    whole = load_onnx(_saved(tmp_path, network()))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    found = load_onnx(_saved(tmp_path, model))
    assert found.input.dtype == "float32"
    x = np.random.default_rng(1).normal(size=(1, 12, 12, 3)).astype(np.float32)
    np.testing.assert_allclose(run(found, x), run(whole, x), rtol=0.02, atol=0.02)


def _saved(folder: Path, model: Any) -> Path:
    onnx.save(model, folder / "m.onnx")
    return folder / "m.onnx"
