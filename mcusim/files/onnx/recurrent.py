"""LSTM, GRU and RNN of float ONNX files as what they do moment by moment; their weights are there once.

Operator definitions: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mcusim.files.onnx.graph import Const, OnnxGraph, Real, Value, onnx_shape
from mcusim.files.onnx.proto import Node
from mcusim.graph import OpKind

WAY_OUT = "export it as PyTorch does: usual activations, no peepholes, no clip, one sequence of fixed length"
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
USUAL = {"LSTM": ("sigmoid", "tanh", "tanh"), "GRU": ("sigmoid", "tanh"), "RNN": ("tanh",)}
X, W, R, B, LENGTHS, HIDDEN, CELL, PEEPHOLES = range(8)


@dataclass(slots=True)
class _Way:
    """One direction of a layer.

    Attributes:
        g, node: where it goes.
        number: 0 forwards, 1 backwards, if there are both.
        units: of its hidden state.
        w, r: weights of all gates, (gates * units, inputs or units).
        b, again: biases of the inputs and of the hidden state.
        curve: of an RNN.
    """

    g: OnnxGraph
    node: Node
    number: int
    units: int
    w: Const
    r: Const
    b: Const
    again: Const
    curve: OpKind = OpKind.TANH
    name: str = ""

    def op(self, kind: OpKind, suffix: str, *operands: Value) -> Value:
        """Add an op of this moment."""
        return self.g.pend(self.node, kind, list(operands), suffix=f"{self.name}.{suffix}")

    def of_inputs(self, x: Value) -> Value:
        """Return what all gates make of an input."""
        return self.op(OpKind.FULLY_CONNECTED, "x", x, self.w, self.b)

    def of_hidden(self, hidden: Value) -> Value:
        """Return what all gates make of the hidden state."""
        if isinstance(hidden, Const):
            return Const(hidden.real @ self.r.real.T + self.again.real)
        return self.op(OpKind.FULLY_CONNECTED, "h", hidden, self.r, self.again)

    def gate(self, value: Value, which: int, suffix: str) -> Value:
        """Return the part of one gate."""
        first = which * self.units
        if isinstance(value, Const):
            return Const(value.data[:, first : first + self.units])
        if self.g.shape(value)[1] == self.units:
            return value
        return self.g.move(
            self.node, OpKind.STRIDED_SLICE, value, suffix=f"{self.name}.{suffix}", axes=(1,),
            begin=(first,), step=(1,), shape=(self.units,),
        )  # fmt: skip


def _lstm(way: _Way, x: Value, hidden: Value, cell: Value) -> tuple[Value, Value]:
    total = way.op(OpKind.ADD, "gates", way.of_inputs(x), way.of_hidden(hidden))
    given, output, forget = (
        way.op(OpKind.LOGISTIC, name, way.gate(total, i, f"{name}_gate"))
        for i, name in enumerate(("input", "output", "forget"))
    )
    new = way.op(OpKind.TANH, "new", way.gate(total, 3, "new_gate"))
    kept = way.op(OpKind.MUL, "kept", forget, cell)
    cell = way.op(OpKind.ADD, "cell", kept, way.op(OpKind.MUL, "added", given, new))
    return way.op(OpKind.MUL, "hidden", output, way.op(OpKind.TANH, "bent", cell)), cell


def _gru(way: _Way, x: Value, hidden: Value, cell: Value) -> tuple[Value, Value]:
    before = bool(way.node.integer("linear_before_reset", 0))
    given, again = way.of_inputs(x), way.of_hidden(hidden)

    def both(which: int, name: str) -> Value:
        parts = way.gate(given, which, f"{name}_x"), way.gate(again, which, f"{name}_h")
        return way.op(OpKind.LOGISTIC, name, way.op(OpKind.ADD, f"{name}_gate", *parts))

    update, reset = both(0, "update"), both(1, "reset")
    if before:
        remembered = way.op(OpKind.MUL, "remembered", reset, way.gate(again, 2, "new_h"))
    else:
        own = slice(2 * way.units, 3 * way.units)
        weight, bias = Const(way.r.data[own]), Const(way.again.data[own])
        scaled = way.op(OpKind.MUL, "remembered", reset, hidden)
        remembered = way.op(OpKind.FULLY_CONNECTED, "new_h", scaled, weight, bias)
    new = way.op(OpKind.TANH, "new", way.op(OpKind.ADD, "new_gate", way.gate(given, 2, "new_x"), remembered))
    moved = way.op(OpKind.MUL, "moved", way.op(OpKind.SUB, "apart", hidden, new), update)
    return way.op(OpKind.ADD, "hidden", moved, new), cell


def _rnn(way: _Way, x: Value, hidden: Value, cell: Value) -> tuple[Value, Value]:
    total = way.op(OpKind.ADD, "gates", way.of_inputs(x), way.of_hidden(hidden))
    return way.op(way.curve, "hidden", total), cell


MOMENTS: dict[str, Callable[[_Way, Value, Value, Value], tuple[Value, Value]]] = {
    "LSTM": _lstm, "GRU": _gru, "RNN": _rnn,
}  # fmt: skip


def recurrent(g: OnnxGraph, node: Node) -> list[Value]:
    """LSTM, GRU and RNN: all moments of one sequence."""
    outputs = node.outputs
    node = replace(node, outputs=(next((name for name in outputs if name), node.kind),))
    shape, hidden_size = onnx_shape(g.shape(g.value(node, X))), node.integer("hidden_size", 0)
    w, r = g.constant(node, W), g.constant(node, R)
    if w is None or r is None or len(shape) != 3 or shape[1] != 1 or node.integer("layout", 0):
        raise node.fail(f"has computed weights, or reads {shape}, not one sequence", WAY_OUT)
    ways, gates = w.data.shape[0], GATES[node.kind]
    units = r.data.shape[2]
    fits = w.data.shape[1:] == (gates * units, shape[2]) and r.data.shape[1] == gates * units
    if not fits or hidden_size not in (0, units):
        raise node.fail(f"has weights of {w.data.shape} and {r.data.shape} for inputs of {shape}")
    direction = node.attributes.get("direction", "forward")
    if ways != (2 if direction == "bidirectional" else 1):
        raise node.fail(f"has {ways} directions and goes {direction}")
    _check(g, node, shape[0], ways)
    curve = OpKind.RELU if _activations(node, ways)[0] == "relu" else OpKind.TANH
    moments = _moments(g, node, shape)
    found = []
    for number in range(ways):
        way = _way(g, node, number, units, w, r)
        way.curve = curve
        backwards = direction == "reverse" or number == 1
        found.append(_run(way, moments[::-1] if backwards else moments, backwards))
    wanted = (_sequences, _last(0), _last(1))[: len(outputs)]
    return [
        make(g, node, found, f".out{i}") if name else Const(np.zeros(1, np.float32))
        for i, (make, name) in enumerate(zip(wanted, outputs, strict=True))
    ]


def _activations(node: Node, ways: int) -> tuple[str, ...]:
    given = node.attributes.get("activations") or USUAL[node.kind] * ways
    return tuple(str(name).lower() for name in given) if isinstance(given, tuple) else ("unknown",)


def _check(g: OnnxGraph, node: Node, times: int, ways: int) -> None:
    usual = {USUAL[node.kind] * ways} | ({("relu",) * ways} if node.kind == "RNN" else set())
    names = _activations(node, ways)
    unusual = [name for name in ("clip", "input_forget", "activation_alpha") if node.attributes.get(name)]
    lengths = g.constant(node, LENGTHS)
    if names not in usual or unusual or g.constant(node, PEEPHOLES) is not None:
        raise node.fail(
            f"has the activations {', '.join(names)}, {', '.join(unusual) or 'or peepholes'}", WAY_OUT
        )
    if lengths is not None and {*lengths.data.reshape(-1).tolist()} != {times}:
        raise node.fail("ends sequences early", WAY_OUT)


def _moments(g: OnnxGraph, node: Node, shape: tuple[int, ...]) -> list[Value]:
    x = g.settled(g.value(node, X))
    if shape[0] > 1 and isinstance(x, Real) and all(op.output != x.name for op in g.build.ops):
        raise node.fail("reads an input of the network with time first", "export it with batch_first=True")
    rows = g.move(node, OpKind.RESHAPE, x, suffix=".rows", shape=(shape[0], shape[2]))
    if shape[0] == 1:
        return [rows]
    cut = {"axes": (0,), "step": (1,), "shape": (1,)}
    return [
        g.move(node, OpKind.STRIDED_SLICE, rows, suffix=f".{time}.x", begin=(time,), **cut)
        for time in range(shape[0])
    ]


def _way(g: OnnxGraph, node: Node, number: int, units: int, w: Const, r: Const) -> _Way:
    bias = g.constant(node, B)
    count = w.data.shape[1]
    both = np.zeros(2 * count, np.float32) if bias is None else bias.real[number]
    weight, again = (Const(np.ascontiguousarray(part.real[number])) for part in (w, r))
    g.share(weight, f"{node.output}.{number}.weight")
    g.share(again, f"{node.output}.{number}.recurrent")
    return _Way(g, node, number, units, weight, again, Const(both[:count]), Const(both[count:]))


def _first(way: _Way, index: int) -> Value:
    """Return the state that a sequence begins with."""
    node = way.node
    if index >= len(node.inputs) or not node.inputs[index]:
        return Const(np.zeros((1, way.units), np.float32))
    value = way.g.value(node, index)
    if not isinstance(value, Const):
        raise node.fail("begins with a state that is computed", WAY_OUT)
    return Const(value.real[way.number].reshape(1, way.units))


def _run(way: _Way, moments: list[Value], backwards: bool) -> tuple[list[Value], Value, Value]:
    """Return the hidden state behind each moment, in the order of time, and the last state."""
    hidden, cell = _first(way, HIDDEN), _first(way, CELL)
    found = []
    for time, x in enumerate(moments):
        way.name = f".{way.number}.{time}"
        hidden, cell = MOMENTS[way.node.kind](way, x, hidden, cell)
        found.append(hidden)
    return (found[::-1] if backwards else found), hidden, cell


Run = tuple[list[Value], Value, Value]


def _sequences(g: OnnxGraph, node: Node, found: list[Run], suffix: str) -> Value:
    """Y: [times, directions, 1, units], stored with the directions last."""
    parts = []
    for number, (rows, _, _) in enumerate(found):
        times, units = len(rows), g.shape(rows[0])[1]
        joined = rows[0] if times == 1 else g.pend(
            node, OpKind.CONCATENATION, rows, suffix=f"{suffix}.{number}", axes=(0,)
        )  # fmt: skip
        part = g.move(node, OpKind.RESHAPE, joined, suffix=f"{suffix}.{number}.y", shape=(times, 1, units, 1))
        parts.append(part)
    return parts[0] if len(parts) == 1 else g.pend(
        node, OpKind.CONCATENATION, parts, suffix=suffix, axes=(3,)
    )  # fmt: skip


def _last(which: int) -> Callable[[OnnxGraph, Node, list[Run], str], Value]:
    """Y_h or Y_c: [directions, 1, units]."""

    def make(g: OnnxGraph, node: Node, found: list[Run], suffix: str) -> Value:
        parts: list[Value] = []
        for number, (_, hidden, cell) in enumerate(found):
            state = cell if which else hidden
            shape = (1, 1, g.shape(state)[1])
            parts.append(g.move(node, OpKind.RESHAPE, state, suffix=f"{suffix}.{number}", shape=shape))
        if len(parts) == 1:
            return parts[0]
        return g.pend(node, OpKind.CONCATENATION, parts, suffix=suffix, axes=(0,))

    return make
