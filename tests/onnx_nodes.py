"""ONNX files of a single node, with each edge of its attributes: real, in the QDQ form, between layers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper
from onnx_sessions import session

sys.path.append(str(Path(__file__).parent / "files"))
from files_onnx_file import proto

IMAGE, SIGNAL, VECTOR = (1, 8, 4, 6), (1, 8, 6), (1, 16)
KEEPS_SCALE = {
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "MaxPool", "GlobalMaxPool", "Slice", "Gather",
    "Split", "Tile", "Expand", "DepthToSpace", "SpaceToDepth", "Pad", "Resize", "Upsample", "ReduceMax",
    "ReduceMin", "Max", "Min", "Concat", "AveragePool", "Identity", "Dropout", "Cast",
}  # fmt: skip
POSITIVE = {"Sqrt", "Log", "Pow", "Reciprocal"}
"""Of what is positive only."""
WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
PAIRED = {"Add", "Sub", "Mul", "Div", "Min", "Max", "PRelu"}


@dataclass(frozen=True, slots=True)
class Node:
    """One form of an operator. Constants are shapes, which are filled with random numbers, or arrays."""

    kind: str
    name: str
    shape: tuple[int, ...] = IMAGE
    constants: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    opset: int = 17
    outputs: int = 1

    @property
    def given(self) -> tuple[str, ...]:
        """Names of what it reads: the input, then the constants."""
        return self.inputs or ("x", *self.constants)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the constants."""
        rng = np.random.default_rng(len(self.name) + len(self.kind))
        low = 0.3 if self.kind in {"Div", "BatchNormalization", "Pow"} else -1.0
        return {
            name: np.asarray(value)
            if not isinstance(value, tuple)
            else rng.uniform(low, 1.5, value).astype(np.float32)
            for name, value in self.constants.items()
        }


def _ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def _plain(kind: str, *names: str, opset: int = 17, **attributes: Any) -> list[Node]:
    shapes = {"image": IMAGE, "signal": SIGNAL, "vector": VECTOR}
    return [Node(kind, name, shapes[name], {}, attributes, opset=opset) for name in names or shapes]


def _pairs(kind: str) -> list[Node]:
    return [
        Node(kind, "a number a channel", IMAGE, {"c": (8, 1, 1)}),
        Node(kind, "one number", IMAGE, {"c": (1,)}),
        Node(kind, "a vector", VECTOR, {"c": (16,)}),
        *([] if kind == "PRelu" else [Node(kind, "a constant first", IMAGE, {"c": IMAGE}, {}, ("c", "x"))]),
    ]


def _reductions(kind: str) -> list[Node]:
    old = 11 if kind != "ReduceSum" else 12
    return [
        Node(kind, "pixels, kept", IMAGE, {}, {"axes": [2, 3]}, opset=old),
        Node(kind, "pixels, dropped", IMAGE, {"a": _ints(-1, -2)}, {"keepdims": 0}, opset=18),
        Node(kind, "channels", IMAGE, {"a": _ints(1)}, opset=18),
        Node(kind, "moments", SIGNAL, {"a": _ints(2)}, {"keepdims": 0}, opset=18),
    ]


def _windows(kind: str) -> list[Node]:
    return [
        Node(kind, "2x2", IMAGE, {}, {"kernel_shape": [2, 2], "strides": [2, 2]}),
        Node(kind, "padded", IMAGE, {}, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        Node(
            kind,
            "the end counts",
            IMAGE,
            {},
            {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
            opset=19,
        ),
        Node(kind, "a signal", SIGNAL, {}, {"kernel_shape": [2], "strides": [2]}),
    ]


def _normalised(*names: str) -> dict[str, tuple[int, ...]]:
    return dict.fromkeys(names, (8,))


def _shares(kind: str) -> list[Node]:
    return [
        Node(kind, "channels", IMAGE, {}, {"axis": 1}, opset=13),
        Node(kind, "the last", SIGNAL, {}, {"axis": -1}, opset=13),
        Node(kind, "all behind the first, opset 11", SIGNAL, opset=11),
        Node(kind, "a vector", VECTOR, opset=13),
    ]


_CURVES = ("Erf", "Softplus", "Softsign", "Mish", "Selu", "Celu", "ThresholdedRelu", "Sin", "Cos")
NODES: tuple[Node, ...] = (
    Node("Conv", "3x3 padded", IMAGE, {"w": (5, 8, 3, 3), "b": (5,)}, {"pads": [1, 1, 1, 1]}),
    Node("Conv", "same, strided", IMAGE, {"w": (5, 8, 3, 3)}, {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    Node("Conv", "dilated", IMAGE, {"w": (5, 8, 3, 3)}, {"dilations": [1, 2], "pads": [1, 2, 1, 2]}),
    Node("Conv", "depthwise", IMAGE, {"w": (8, 1, 3, 3), "b": (8,)}, {"group": 8}),
    Node("Conv", "two groups", IMAGE, {"w": (6, 4, 3, 3), "b": (6,)}, {"group": 2}),
    Node("Conv", "a signal", SIGNAL, {"w": (5, 8, 3), "b": (5,)}, {"pads": [2, 0]}),
    Node("ConvTranspose", "twice as large", IMAGE, {"w": (8, 5, 2, 2), "b": (5,)}, {"strides": [2, 2]}),
    Node("ConvTranspose", "a signal", SIGNAL, {"w": (8, 5, 3)}, {"strides": [2]}),
    Node("Gemm", "transB", VECTOR, {"w": (5, 16), "b": (5,)}, {"transB": 1}),
    Node("Gemm", "alpha and beta", VECTOR, {"w": (16, 5), "b": (5,)}, {"alpha": 0.5, "beta": 2.0}),
    Node("MatMul", "a vector", VECTOR, {"w": (16, 5)}),
    Node("MatMul", "rows", SIGNAL, {"w": (6, 5)}),
    *(node for kind in ("Add", "Sub", "Mul", "Div", "Min", "Max", "PRelu") for node in _pairs(kind)),
    Node("Sum", "three", IMAGE, {"c": IMAGE, "d": IMAGE}),
    Node("Mean", "two", IMAGE, {"c": IMAGE}),
    *(node for kind in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin") for node in _reductions(kind)),
    *_plain("GlobalAveragePool", "image", "signal"), *_plain("GlobalMaxPool", "image", "signal"),
    *_windows("AveragePool"), *_windows("MaxPool"),
    Node("AveragePool", "padding counts", IMAGE, {},
         {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
    Node("Reshape", "flat", IMAGE, {"s": _ints(1, -1)}),
    Node("Reshape", "an image", IMAGE, {"s": _ints(0, 4, 8, 6)}),
    Node("Flatten", "image", IMAGE), Node("Flatten", "signal", SIGNAL, {}, {"axis": -2}),
    Node("Squeeze", "opset 11", (1, 8, 1, 6), {}, {"axes": [2]}, opset=11),
    Node("Squeeze", "opset 13", (1, 8, 1, 6), {"a": _ints(-2)}),
    Node("Unsqueeze", "opset 11", SIGNAL, {}, {"axes": [2]}, opset=11),
    Node("Unsqueeze", "opset 13", SIGNAL, {"a": _ints(-1)}),
    Node("Concat", "channels", IMAGE, {"c": IMAGE}, {"axis": 1}),
    Node("Concat", "columns", IMAGE, {"c": IMAGE}, {"axis": -1}),
    Node("Transpose", "channels last", IMAGE, {}, {"perm": [0, 2, 3, 1]}),
    Node("Transpose", "a signal", SIGNAL, {}, {"perm": [0, 2, 1]}),
    Node("Slice", "steps", IMAGE,
         {"s": _ints(0, -1), "e": _ints(9, -9), "a": _ints(1, -1), "t": _ints(3, -2)}),
    Node("Slice", "opset 9", IMAGE, {}, {"starts": [1], "ends": [3], "axes": [2]}, opset=9),
    Node("Split", "opset 11", IMAGE, {}, {"axis": 1, "split": [3, 5]}, opset=11, outputs=2),
    Node("Split", "opset 13", IMAGE, {"s": _ints(3, 5)}, {"axis": 1}, outputs=2),
    Node("Split", "opset 18", IMAGE, {}, {"axis": -1, "num_outputs": 2}, opset=18, outputs=2),
    Node("Tile", "twice", IMAGE, {"r": _ints(1, 1, 2, 1)}),
    Node("Expand", "rows", (1, 8, 1, 6), {"s": _ints(1, 8, 3, 6)}),
    Node("Gather", "channels", IMAGE, {"i": _ints(3, -1, 0)}, {"axis": 1}),
    Node("Gather", "one column", IMAGE, {"i": np.array(2)}, {"axis": 3}),
    Node("DepthToSpace", "DCR", IMAGE, {}, {"blocksize": 2}),
    Node("DepthToSpace", "CRD", IMAGE, {}, {"blocksize": 2, "mode": "CRD"}),
    Node("SpaceToDepth", "block 2", IMAGE, {}, {"blocksize": 2}),
    Node("Pad", "a number", IMAGE, {"p": _ints(0, 0, 1, 0, 0, 0, 2, 1)}),
    Node("Pad", "reflection", IMAGE, {"p": _ints(0, 0, 1, 0, 0, 0, 2, 1)}, {"mode": "reflect"}),
    Node("Pad", "some dimensions, opset 18", IMAGE,
         {"p": _ints(1, 0, 2, 1), "v": np.float32(0), "a": _ints(-1, 2)}, opset=18),
    Node("Resize", "nearest, twice", IMAGE, {"s": np.float32([1, 1, 2, 2])},
         {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, ("x", "", "s")),
    Node("Resize", "linear, sizes", IMAGE, {"s": _ints(1, 8, 8, 12)}, {"mode": "linear"}, ("x", "", "", "s")),
    Node("Resize", "linear, corners", IMAGE, {"s": _ints(1, 8, 7, 11)},
         {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, ("x", "", "", "s")),
    Node("Upsample", "opset 9", IMAGE, {"s": np.float32([1, 1, 2, 2])}, opset=9),
    Node("BatchNormalization", "image", IMAGE, _normalised(*"gbmv")),
    Node("BatchNormalization", "signal", SIGNAL, _normalised(*"gbmv"), {"epsilon": 0.01}),
    Node("InstanceNormalization", "image", IMAGE, _normalised(*"gb")),
    Node("LayerNormalization", "signal", SIGNAL, {"g": (6,), "b": (6,)}),
    Node("LpNormalization", "channels", IMAGE, {}, {"axis": 1}), Node("LpNormalization", "vector", VECTOR),
    *_shares("Softmax"), *_shares("LogSoftmax"),
    *(node for kind in ("Relu", "Sigmoid", "Tanh", "Abs", "Neg") for node in _plain(kind)),
    *_plain("HardSwish"), *_plain("HardSigmoid"),
    *(node for kind in ("Exp", "Sqrt", "Log", "Reciprocal") for node in _plain(kind, "vector")),
    *(node for kind in _CURVES for node in _plain(kind, "image", opset=18)),
    *_plain("LeakyRelu", "image", alpha=0.3), *_plain("Elu", "image"), *_plain("Elu", "vector", alpha=0.5),
    *_plain("Shrink", "vector", lambd=0.3, bias=0.2), *_plain("Swish", "image", opset=24),
    *_plain("Gelu", "image", opset=20), *_plain("Gelu", "vector", opset=20, approximate="tanh"),
    Node("Clip", "opset 9", IMAGE, {}, {"min": 0.0, "max": 6.0}, opset=9),
    Node("Clip", "opset 13", IMAGE, {"l": np.float32(-1), "h": np.float32(1)}),
    Node("Clip", "any bounds", IMAGE, {"l": np.float32(-0.4), "h": np.float32(0.7)}),
    *(Node("Pow", f"exponent {e:g}", VECTOR, {"c": np.float32(e)}) for e in (2, 0.5, -1)),
)  # fmt: skip
ELSEWHERE = {
    "Constant": "holds a value",
    **dict.fromkeys(("Identity", "Dropout", "Cast"), "leaves nothing behind of float numbers"),
 "QuantizeLinear": "around every node here", "DequantizeLinear": "the same",
    "ArgMax": "gives no real numbers: tests/files/test_files_onnx.py",
    **dict.fromkeys(("LSTM", "GRU", "RNN"), "tests/files/test_files_onnx_recurrent.py"),
}  # fmt: skip
"""What the reader knows and has no row, and why."""


def title(node: Node) -> str:
    """Return the name of a node's row."""
    return f"`{node.kind}`, {node.name}"


def _saved(
    nodes: list[Any], constants: dict[str, Any], node: Node, outputs: list[str], least: int = 0
) -> bytes:
    model = proto(nodes, constants, {"x": node.shape}, outputs)
    model.opset_import[0].version = max(node.opset, least)
    model.ir_version = min(model.ir_version, 10)
    data: bytes = model.SerializeToString()
    return data


def real(node: Node) -> bytes:
    """Return the node alone, of float32."""
    outputs = [f"y{i}" for i in range(node.outputs)]
    made = helper.make_node(node.kind, list(node.given), outputs, **node.attributes)
    return _saved([made], node.arrays(), node, outputs)


def quantised(node: Node, span: float) -> bytes:
    """Return the node in the QDQ form; its output spans about ``span`` to either side of zero."""
    arrays = node.arrays()
    constants: dict[str, Any] = {
        "x.s": np.float32(0.01 if node.kind in POSITIVE else 0.02),
        "x.z": np.int8(-127 if node.kind in POSITIVE else 3),
        "y.s": np.float32(span / 120), "y.z": np.int8(-5),
    }  # fmt: skip
    nodes: list[Any] = []

    def both(name: str, raw: str, like: str) -> str:
        scales = [f"{like}.s", f"{like}.z"]
        nodes.append(helper.make_node("QuantizeLinear", [raw, *scales], [f"{name}.q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}.q", *scales], [f"{name}.d"]))
        return f"{name}.d"

    given = []
    x = both("x", "x", "x")
    for name in node.given:
        weight = name == "w" and node.kind in WEIGHTED
        if name in arrays and (weight or (name == "c" and node.kind in PAIRED)):
            scale = np.float32(np.abs(arrays[name]).max() / 127)
            stored = np.rint(arrays[name] / scale).astype(np.int8)
            constants |= {f"{name}.q": stored, f"{name}.s": scale, f"{name}.z": np.int8(0)}
            nodes.append(helper.make_node("DequantizeLinear", [f"{name}.{e}" for e in "qsz"], [f"{name}.d"]))
            given.append(f"{name}.d")
            continue
        if name in arrays:
            constants[name] = arrays[name]
        given.append(x if name == "x" else name)
    raws = [f"r{i}" for i in range(node.outputs)]
    nodes.append(helper.make_node(node.kind, given, raws, **node.attributes))
    like = "x" if node.kind in KEEPS_SCALE else "y"
    outputs = [both(f"y{i}", raw, like) for i, raw in enumerate(raws)]
    return _saved(nodes, constants, node, outputs, least=10)


def between(node: Node) -> bytes:
    """Return the node, of float32, between a layer and a classifier of three classes."""
    rng, arrays = np.random.default_rng(0), node.arrays()
    depth, rank = node.shape[1], len(node.shape)
    arrays["first.w"] = rng.normal(0, 0.5, (depth, depth, *(1,) * (rank - 2))).astype(np.float32)
    arrays["first.b"] = rng.normal(0, 0.5, depth).astype(np.float32)
    kind, more = ("Gemm", {"transB": 1}) if rank == 2 else ("Conv", {})
    nodes = [helper.make_node(kind, ["x", "first.w", "first.b"], ["first"], **more)]
    before = "first"
    if node.kind in POSITIVE:
        arrays["least"] = np.full(1, 0.2, np.float32)
        nodes.append(helper.make_node("Sigmoid", ["first"], ["shares"]))
        nodes.append(helper.make_node("Add", ["shares", "least"], ["above"]))
        before = "above"
    outputs = [f"y{i}" for i in range(node.outputs)]
    given = [before if name == "x" else name for name in node.given]
    nodes.append(helper.make_node(node.kind, given, outputs, **node.attributes))
    count = prod(_shape_of(node))
    arrays["head.w"] = rng.normal(0, 0.3, (3, count)).astype(np.float32)
    arrays["head.b"] = np.zeros(3, np.float32)
    arrays["flat"] = _ints(1, -1)
    nodes.append(helper.make_node("Reshape", [outputs[-1], "flat"], ["row"]))
    nodes.append(helper.make_node("Gemm", ["row", "head.w", "head.b"], ["scores"], transB=1))
    return _saved(nodes, arrays, node, ["scores"])


def computed(data: bytes, x: np.ndarray) -> list[np.ndarray]:
    """Return what ONNX Runtime gives, node by node."""
    found: list[np.ndarray] = session(data, rewritten=False).run(None, {"x": x})
    return found


def _shape_of(node: Node) -> tuple[int, ...]:
    return computed(real(node), example(node))[-1].shape


def example(node: Node) -> np.ndarray:
    """Return one input."""
    x = np.random.default_rng(1).uniform(-2, 2, node.shape).astype(np.float32)
    return np.abs(x) + np.float32(0.2) if node.kind in POSITIVE else x


def kinds() -> Iterator[str]:
    """Yield the operators that have a row."""
    yield from dict.fromkeys(node.kind for node in NODES)
