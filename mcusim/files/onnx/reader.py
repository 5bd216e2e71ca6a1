"""ONNX files as networks: float32, and int8 in the QuantizeLinear/DequantizeLinear (QDQ) form.

ONNX is planes-first; tensors with four dimensions are stored NHWC here. In a QDQ file an op stands
between DequantizeLinear and QuantizeLinear nodes; where all its inputs come from the former and its
output goes into the latter it becomes one int8 op. Everything else stays float32. The rounding is that
of the ``float`` arithmetic, as in ONNX Runtime.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from mcusim.files.onnx.folding import fold
from mcusim.files.onnx.gelu import with_gelu
from mcusim.files.onnx.graph import Const, Int8Tensor, OnnxGraph, Real, Value, View, stored_shape
from mcusim.files.onnx.operators import RULES, SEVERAL
from mcusim.files.onnx.proto import (
    REALS,
    Node,
    array_of,
    in_order,
    node_of,
    opset_of,
    read_onnx,
    shape_of,
    text,
)
from mcusim.files.onnx.qlinear import MOVES, between_quantisers
from mcusim.files.preprocessing import pixels_fill_the_input
from mcusim.graph import Arithmetic, Model, Preprocessing
from mcusim.graph.build import leading_to, naming
from mcusim.graph.head import head_name
from mcusim.graph.validate import validate

WAYS_OUT = {
    **dict.fromkeys(("If", "Loop", "Scan"), "export the network without control flow"),
    "TopK": "cut the network before it, and let the program choose",
}
"""What to do about operators that people meet often and that are not supported."""


def load_onnx(path: str | Path) -> Model:
    """Load an ``.onnx`` file.

    Raises:
        MissingPackage: if ``onnx`` is not installed.
        BadModel: if the file is missing, damaged, or uses anything that is not supported: names the node
            with its index and values.
    """
    proto = read_onnx(path)
    with naming(path):
        return _model(proto, PurePath(path).stem)


def _model(proto: Any, name: str) -> Model:
    graph = OnnxGraph(opset=opset_of(proto, name))
    for tensor in proto.graph.initializer:
        graph.values[text(tensor.name)] = Const(array_of(tensor))
    inputs = []
    for value in proto.graph.input:
        name_in = text(value.name)
        if name_in in graph.values:
            continue  # old files list their initializers as inputs too
        shape = stored_shape(shape_of(value))
        if value.type.tensor_type.elem_type in REALS:
            graph.values[name_in] = Real(graph.build.activation(name_in, shape, None, "float32"))
        else:
            # Its scale is known when its DequantizeLinear is read.
            graph.raw_inputs[name_in] = shape
        inputs.append(name_in)
    nodes = in_order([node_of(index, item) for index, item in enumerate(proto.graph.node)])
    nodes = between_quantisers(nodes, graph.values)
    for node in with_gelu(nodes, graph.values):
        if node.output in graph.values:
            raise node.fail("writes a value that exists already")
        constant = fold(graph, node)
        if constant is not None:
            graph.values[node.output] = constant
            continue
        if node.kind in SEVERAL:
            found = zip(node.outputs, SEVERAL[node.kind](graph, node), strict=True)
            graph.values.update({output: value for output, value in found if output})
            continue
        if node.kind in MOVES and graph.integers(node):
            graph.values[node.output] = _moved(graph, node)
            continue
        rule = RULES.get(node.kind)
        if rule is None:
            known = f"supported: {', '.join(sorted({*RULES, *SEVERAL}))}"
            raise node.fail("is not supported", WAYS_OUT.get(node.kind, known))
        graph.values[node.output] = rule(graph, node)
    return _finished(graph, proto, name, tuple(inputs))


def _moved(graph: OnnxGraph, node: Node) -> Value:
    """Return what an operator that only moves elements gives of integers: integers of the same scale."""
    name = node.inputs[0]
    whole, graph.values[name] = graph.values[name], View(graph.integers(node))
    found = RULES[node.kind](graph, node)
    graph.values[name] = whole
    return Int8Tensor(found.name) if isinstance(found, View) else found


def _finished(graph: OnnxGraph, proto: Any, name: str, inputs: tuple[str, ...]) -> Model:
    outputs = tuple(graph.finished(text(value.name)) for value in proto.graph.output)
    ops = leading_to(outputs, graph.build.ops)
    needed = {*outputs, *(name for op in ops for name in (*op.inputs, op.output))}
    model = Model(
        name=name,
        ops=ops,
        tensors={n: t for n, t in graph.build.tensors.items() if n in needed or n in inputs},
        inputs=inputs,
        outputs=tuple(dict.fromkeys(outputs)),
        arithmetic=Arithmetic.FLOAT,
        source=f"ONNX, {text(proto.producer_name)} {text(proto.producer_version)}".strip(),
    )
    validate(model)
    preprocessing = pixels_fill_the_input(model, Preprocessing())
    return replace(model, head=head_name(model), preprocessing=preprocessing)
