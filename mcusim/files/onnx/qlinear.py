"""Operators on integers, as quantisers write ONNX files with fewer nodes: each between two quantisers.

QLinearConv and its like name the scales of what they read and give; ONNX Runtime computes them as the
operator between DequantizeLinear and QuantizeLinear. What only moves elements stands between them as it is.

Definitions: https://onnx.ai/onnx/operators/ and ONNX Runtime's ``ContribOperators.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mcusim.files.onnx.graph import Const, Value
from mcusim.files.onnx.proto import Node

ONE = {
    "QLinearAveragePool": "AveragePool", "QLinearGlobalAveragePool": "GlobalAveragePool",
    "QLinearLeakyRelu": "LeakyRelu", "QLinearSigmoid": "Sigmoid", "QLinearSoftmax": "Softmax",
    "QLinearReduceMean": "ReduceMean",
}  # fmt: skip
"""Of one tensor: it, its scale and zero point, those of the output."""
TWO = {"QLinearAdd": "Add", "QLinearMul": "Mul", "QLinearMatMul": "MatMul"}
WEIGHTED = {"QLinearConv": "Conv", "QGemm": "Gemm"}
JOINED = "QLinearConcat"
KINDS = (*ONE, *TWO, *WEIGHTED, JOINED)
MOVES = frozenset(
    {
        "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Reshape", "Slice",
        "SpaceToDepth", "Squeeze", "Tile", "Transpose", "Unsqueeze",
    }
)  # fmt: skip
"""What may read integers, and gives integers of the same scale."""


def between_quantisers(nodes: list[Node], values: dict[str, Value]) -> list[Node]:
    """Return nodes with every operator on integers replaced by three or more.

    Args:
        nodes: in the order of the file.
        values: what is known of values; scales of biases are added to it.

    Raises:
        BadModel: if such an operator lacks a part, or a scale is no constant; names the node.
    """
    if not any(node.kind in KINDS for node in nodes):
        return nodes
    return [made for node in nodes for made in (_spelled(node, values) if node.kind in KINDS else (node,))]


def _spelled(node: Node, values: dict[str, Value]) -> Iterator[Node]:
    given = node.inputs
    least = {**dict.fromkeys(ONE, 4), **dict.fromkeys(TWO, 7), "QLinearConv": 8, "QGemm": 6, JOINED: 5}
    if len(given) < least[node.kind]:
        raise node.fail(f"has {len(given)} inputs")
    attributes = dict(node.attributes)
    if attributes.pop("channels_last", 0):
        raise node.fail("has its channels last", "export it with planes first")
    attributes.pop("opset", None)
    if node.kind == JOINED:
        parts, ends, kind = [given[i : i + 3] for i in range(2, len(given), 3)], given[:2], "Concat"
    elif node.kind in ONE:
        parts, ends, kind = [given[:3]], given[3:5], ONE[node.kind]
    else:
        pairs = TWO | WEIGHTED
        parts, kind = [given[:3], given[3:6]], pairs[node.kind]
        ends = given[6:8] if node.kind != "QGemm" else given[7:9]
    if any(len(part) < 2 for part in parts):
        raise node.fail("has a tensor without a scale")
    operands = []
    for place, part in enumerate(parts):
        name = f"{node.output}.operand{place}"
        axis = {"axis": 0} if node.kind == "QLinearConv" and place else {}
        if node.kind == "QGemm" and place:
            axis = {"axis": 0 if node.integer("transB", 0) else 1}
        yield replace(node, kind="DequantizeLinear", inputs=part, outputs=(name,), attributes=axis)
        operands.append(name)
    bias = {"QLinearConv": given[8:9], "QGemm": given[6:7]}.get(node.kind, ())
    if any(bias):
        scale, zero = f"{node.output}.bias_scale", f"{node.output}.bias_zero"
        values[scale] = Const(_scale(node, values, given[1]) * _scale(node, values, given[4]))
        values[zero] = Const(np.zeros(values[scale].data.shape, np.int32))  # type: ignore[union-attr]
        name = f"{node.output}.bias"
        parts_of_bias = (bias[0], scale, zero)
        yield replace(
            node, kind="DequantizeLinear", inputs=parts_of_bias, outputs=(name,), attributes={"axis": 0}
        )
        operands.append(name)
    raw = f"{node.output}.real" if any(ends) else node.output
    yield replace(node, kind=kind, inputs=tuple(operands), outputs=(raw,), attributes=attributes)
    if any(ends):
        yield replace(
            node, kind="QuantizeLinear", inputs=(raw, *ends), outputs=node.outputs[:1], attributes={}
        )


def _scale(node: Node, values: dict[str, Value], name: str) -> np.ndarray:
    value = values.get(name)
    if not isinstance(value, Const):
        raise node.fail(f"has the scale {name!r}, which is no constant")
    found = value.data.astype(np.float32)
    return found.reshape(-1)[0] if found.size == 1 else found
