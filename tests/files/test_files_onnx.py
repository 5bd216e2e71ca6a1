"""ONNX files: float ones against ONNX's reference evaluator, int8 ones against what they were made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from files_onnx_file import proto, qdq  # noqa: E402
from onnx import helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from mcusim.compress.quantize import run  # noqa: E402
from mcusim.core import BadModel  # noqa: E402
from mcusim.files.graph_json import load_graph_json  # noqa: E402
from mcusim.files.onnx.reader import load_onnx  # noqa: E402
from mcusim.graph import Arithmetic, Model, OpKind  # noqa: E402

RNG = np.random.default_rng(0)


def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def weights(*shape: int) -> np.ndarray:
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def loaded(tmp_path: Path, model: Any) -> Model:
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    return load_onnx(tmp_path / "m.onnx")


def both(tmp_path: Path, nodes: list[Any], constants: dict[str, np.ndarray], shape: tuple[int, ...]) -> Model:
    """Assert that our network computes what the reference evaluator does; return it."""
    reference = proto(nodes, constants, {"x": shape}, [nodes[-1].output[0]])
    x = weights(*shape)
    expected = ReferenceEvaluator(reference).run(None, {"x": x})[0]
    model = loaded(tmp_path, reference)
    ours = run(model, x.transpose(0, 2, 3, 1) if x.ndim == 4 else x)
    if expected.ndim == 4:
        expected = expected.transpose(0, 2, 3, 1)
    assert ours.shape == expected.shape
    assert np.allclose(ours, expected, rtol=1e-4, atol=1e-5)
    return model


@pytest.mark.smoke
def test_float_network_computes_the_same(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w1 b1", "c1", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", "c1", "r1"),
        node("Conv", "r1 w2", "c2", group=8, pads=[1, 0, 1, 2], dilations=[1, 2]),
        node("BatchNormalization", "c2 gamma beta mean variance", "n2"),
        node("Clip", "n2 zero six", "r2"),
        node("Add", "r2 r1", "sum"),
        node("MaxPool", "sum", "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "pool", "flat"),
        node("Gemm", "flat w3 b3", "fc", transB=0),
        node("Softmax", "fc", "y"),
    ]
    constants = {
        "w1": weights(8, 3, 3, 3),
        "b1": weights(8),
        "w2": weights(8, 1, 3, 2),
        "gamma": weights(8),
        "beta": weights(8),
        "mean": weights(8),
        "variance": np.abs(weights(8)) + 0.1,
        "zero": np.float32(0),
        "six": np.float32(6),
        "w3": weights(8 * 2 * 3, 5),
        "b3": weights(5),
    }
    model = both(tmp_path, nodes, constants, (1, 3, 8, 12))
    assert [op.kind for op in model.ops[:2]] == [OpKind.CONV_2D, OpKind.DEPTHWISE_CONV_2D]
    assert model.ops[0].attributes.clamp == (0, np.inf)
    assert model.head == "fc"


ASYMMETRIC = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
CASES: dict[str, tuple[list[Any], dict[str, np.ndarray], tuple[int, ...]]] = {
    "transpose": ([node("Transpose", "x", "y", perm=[0, 2, 3, 1])], {}, (1, 3, 4, 5)),
    "reshape to planes": (
        [node("Reshape", "x s", "y")],
        {"s": np.array([0, -1, 2, 5], np.int64)},
        (1, 3, 4, 5),
    ),
    "squeeze": (
        [node("GlobalAveragePool", "x", "p"), node("Squeeze", "p a", "y")],
        {"a": np.array([2, 3], np.int64)},
        (1, 3, 4, 5),
    ),
    "unsqueeze": (
        [node("Unsqueeze", "x a", "y")],
        {"a": np.array([2, -1], np.int64)},
        (1, 3),
    ),
    "mean of rows": ([node("ReduceMean", "x", "y", axes=[2], keepdims=1)], {}, (1, 3, 4, 5)),
    "mean dropped": ([node("ReduceMean", "x", "y", axes=[-1, -2], keepdims=0)], {}, (1, 3, 4, 5)),
    "average pool": (
        [node("AveragePool", "x", "y", kernel_shape=[3, 2], pads=[1, 1, 1, 0], strides=[2, 1])],
        {},
        (1, 3, 6, 5),
    ),
    "same upper": (
        [node("Conv", "x w", "y", auto_pad="SAME_UPPER", strides=[2, 2])],
        {"w": weights(4, 3, 3, 3)},
        (1, 3, 6, 7),
    ),
    "concat": ([node("Relu", "x", "r"), node("Concat", "x r", "y", axis=1)], {}, (1, 3, 4, 5)),
    "pad": (
        [node("Pad", "x p", "y")],
        {"p": np.array([0, 0, 1, 2, 0, 0, 3, 0], np.int64)},
        (1, 3, 4, 5),
    ),
    "scale a channel": (
        [node("Mul", "x w", "m"), node("Sub", "m x", "y")],
        {"w": weights(3, 1, 1)},
        (1, 3, 4, 5),
    ),
    "matmul with bias": (
        [node("MatMul", "x w", "m"), node("Add", "b m", "a"), node("Relu", "a", "y")],
        {"w": weights(6, 4), "b": weights(4)},
        (1, 6),
    ),
    "leaky relu": (
        [node("LeakyRelu", "x", "l"), node("LeakyRelu", "l", "y", alpha=0.2)],
        {},
        (1, 3, 4, 5),
    ),
    "tanh": ([node("Tanh", "x", "y")], {}, (1, 3, 4, 5)),
    "hard swish": ([node("HardSwish", "x", "h"), node("Sigmoid", "h", "y")], {}, (1, 3, 4, 5)),
    "nearest": (
        [node("Resize", "x  s", "y", **ASYMMETRIC)],
        {"s": np.array([1, 1, 2, 3], np.float32)},
        (1, 3, 4, 5),
    ),
    "bilinear": (
        [node("Resize", "x  s", "y", mode="linear")],
        {"s": np.array([1, 1, 2, 2], np.float32)},
        (1, 3, 4, 5),
    ),
    "clamp alone": (
        [node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("Clip", "t lo hi", "y")],
        {"lo": np.float32(0), "hi": np.float32(6)},
        (1, 3, 4, 5),
    ),
    "read twice": (
        [node("Conv", "x w", "c"), node("Relu", "c", "r"), node("Add", "c r", "y")],
        {"w": weights(3, 3, 1, 1)},
        (1, 3, 4, 5),
    ),
    "identity and constant": (
        [
            node("Identity", "x", "i"),
            helper.make_node("Constant", [], ["k"], value=onnx.numpy_helper.from_array(weights(1, 3, 1, 1))),
            node("Mul", "i k", "y"),
        ],
        {},
        (1, 3, 4, 5),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_operator_computes_the_same(tmp_path: Path, case: str) -> None:
    nodes, constants, shape = CASES[case]
    for n in nodes:
        if n.op_type == "Resize":
            del n.input[:]
            n.input.extend(["x", "", "s"])
    both(tmp_path, nodes, constants, shape)


@pytest.mark.data
@pytest.mark.parametrize("unsigned", [False, True])
def test_qdq_network_is_the_one_it_was_made_from(data_dir: Path, tmp_path: Path, unsigned: bool) -> None:
    original = load_graph_json(data_dir / "models" / "mbv2-w0.35-int8.json")
    model = loaded(tmp_path, qdq(original, unsigned=unsigned))
    first, *body, last = model.ops
    assert (first.kind, last.kind) == (OpKind.QUANTIZE, OpKind.DEQUANTIZE)
    assert model.arithmetic is Arithmetic.FLOAT
    assert model.conv_weights == original.conv_weights + 112_000 - 112_000 * (model.head is not None)
    for ours, op in zip(body, original.ops, strict=True):
        assert (ours.kind, ours.attributes) == (op.kind, op.attributes)
        y, expected = model.tensors[ours.output], original.tensors[op.output]
        assert y.shape == expected.shape
        assert y.quant is not None
        assert expected.quant is not None
        assert y.quant.scale[0] == np.float32(expected.quant.scale[0])
        assert y.quant.zero_point == expected.quant.zero_point
        for a, b in zip(ours.inputs[1:], op.inputs[1:], strict=True):
            data = original.tensors[b].data
            if data is not None:
                assert np.array_equal(np.asarray(model.tensors[a].data), np.asarray(data))


def test_clamp_and_flatten_between_quantisations(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", "x sx zx", "xq"),
        node("DequantizeLinear", "xq sx zx", "xd"),
        node("DequantizeLinear", "w sw zw", "wd", axis=0),
        node("Conv", "xd wd b", "c"),
        node("Relu", "c", "r"),
        node("QuantizeLinear", "r sy zy", "rq"),
        node("DequantizeLinear", "rq sy zy", "rd"),
        node("MaxPool", "rd", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "p", "f"),
        node("DequantizeLinear", "v sv", "vd"),
        node("MatMul", "f vd", "y"),
    ]
    constants = {
        "sx": np.float32(0.02), "zx": np.int8(3), "sw": np.array([0.01, 0.02], np.float32),
        "zw": np.zeros(2, np.int8), "w": RNG.integers(-127, 128, (2, 3, 1, 1)).astype(np.int8),
        "b": np.array([0.5, -0.3], np.float32), "sy": np.float32(0.05), "zy": np.int8(-100),
        "v": RNG.integers(0, 255, (8, 3)).astype(np.uint8), "sv": np.float32(0.1),
    }  # fmt: skip
    model = loaded(tmp_path, proto(nodes, constants, {"x": (1, 3, 4, 4)}, ["y"]))
    kinds = [op.kind for op in model.ops]
    assert kinds == [
        OpKind.QUANTIZE, OpKind.CONV_2D, OpKind.MAX_POOL_2D, OpKind.TRANSPOSE, OpKind.RESHAPE,
        OpKind.DEQUANTIZE, OpKind.FULLY_CONNECTED,
    ]  # fmt: skip
    conv = model.ops[1]
    assert conv.attributes.clamp == (-100, 127)
    bias = model.tensors[conv.inputs[2]]
    assert np.asarray(bias.data).tolist() == [2500, -750]
    assert model.tensors[model.ops[2].output].quant.zero_point == -100  # type: ignore[union-attr]


def test_other_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="cannot be read"):
        load_onnx(tmp_path / "missing.onnx")
    for data in (b"", b"hello", b"\x08\x01", bytes(1000)):
        (tmp_path / "m.onnx").write_bytes(data)
        with pytest.raises(BadModel, match=r"m\.onnx"):
            load_onnx(tmp_path / "m.onnx")


WRONG: dict[str, tuple[list[Any], dict[str, np.ndarray], Any]] = {
    r"node 0 \(LSTM\).*not one sequence.*'x'.*export it": ([node("LSTM", "x", "y")], {}, (1, 3)),
    r"node 0 \(Hardmax\).*not supported.*'x'.*supported: Abs": ([node("Hardmax", "x", "y")], {}, (1, 3)),
    "own output": ([node("Add", "x z", "y"), node("Relu", "y", "z")], {}, (1, 3)),
    "nothing has written": ([node("Relu", "z", "y")], {}, (1, 3)),
    "no constant": ([node("Conv", "x x", "y")], {}, (1, 3, 4, 4)),
    "3 groups of 2 channels": ([node("Conv", "x w", "y", group=3)], {"w": weights(4, 2, 1, 1)}, (1, 4, 4, 4)),
    "groups of 5 channels for 4": ([node("Conv", "x w", "y")], {"w": weights(4, 5, 1, 1)}, (1, 4, 4, 4)),
    "does not fit": ([node("Conv", "x w", "y")], {"w": weights(4, 4, 9, 9)}, (1, 4, 4, 4)),
    "dynamic shape": ([node("Relu", "x", "y")], {}, (1, "height", 4)),
    "cannot be broadcast": ([node("Add", "x w", "y")], {"w": weights(7, 1, 1)}, (1, 3, 4, 4)),
    "cannot turn": ([node("Reshape", "x s", "y")], {"s": np.array([7, -1])}, (1, 3, 4, 4)),
    "no list of integers": (
        [node("Conv", "x w", "y", strides=[1.5])],
        {"w": weights(4, 4, 1, 1)},
        (1, 4, 4, 4),
    ),
    "element type 14": ([node("Relu", "w", "y")], {"w": weights(3).astype(np.complex64)}, (1, 3)),
    "scale -0.1": (
        [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "y")],
        {"s": np.float32(-0.1), "z": np.int8(0)},
        (1, 3),
    ),
    "another scale": (
        [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q t z", "y")],
        {"s": np.float32(0.1), "t": np.float32(0.2), "z": np.int8(0)},
        (1, 3),
    ),
    "exists already": ([node("Relu", "x", "y"), node("Relu", "x", "y")], {}, (1, 3)),
}


@pytest.mark.parametrize("message", WRONG)
def test_each_wrong_network_is_named(tmp_path: Path, message: str) -> None:
    nodes, constants, shape = WRONG[message]
    with pytest.raises(BadModel, match=message):
        loaded(tmp_path, proto(nodes, constants, {"x": shape}, ["y"]))


def test_damaged_tensors_are_errors(tmp_path: Path) -> None:
    model = proto([node("Add", "x w", "y")], {"w": weights(3)}, {"x": (1, 3)}, ["y"])
    model.graph.initializer[0].raw_data = b"123"
    with pytest.raises(BadModel, match=r"'w'.*3 B of values"):
        loaded(tmp_path, model)
    model.graph.initializer[0].dims[0] = 2**60
    with pytest.raises(BadModel, match="'w'"):
        loaded(tmp_path, model)
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    with pytest.raises(BadModel, match="another file"):
        loaded(tmp_path, model)


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    nodes, constants, shape = (
        [
            node("Conv", "x w b", "c", pads=[1, 1, 1, 1]),
            node("Relu", "c", "r"),
            node("GlobalAveragePool", "r", "p"),
            node("Flatten", "p", "y"),
        ],
        {"w": weights(4, 3, 3, 3), "b": weights(4)},
        (1, 3, 6, 6),
    )
    data = proto(nodes, constants, {"x": shape}, ["y"]).SerializeToString()
    rng = np.random.default_rng(1)
    for _ in range(600):
        changed = bytearray(data)
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            changed[at] = rng.integers(256)
        (tmp_path / "m.onnx").write_bytes(
            changed[: len(data) if rng.random() < 0.8 else rng.integers(len(data))]
        )
        try:
            load_onnx(tmp_path / "m.onnx")
        except BadModel:
            continue
