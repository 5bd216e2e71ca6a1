"""An ONNX graph being read: what each value is, and the ops that were needed so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.files.onnx.proto import Node
from mcusim.graph import TRAITS, Attributes, Op, OpKind, Quant, Tensor
from mcusim.graph.build import GraphBuilder
from mcusim.graph.shapes import infer

Shape = tuple[int, ...]
NHWC, NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
"""Dimension ``i`` of a stored tensor is dimension ``NHWC[i]`` of ONNX's, and the way back."""


def stored_shape(shape: Shape) -> Shape:
    """Return an ONNX shape as it is stored here."""
    return tuple(shape[i] for i in NHWC) if len(shape) == 4 else shape


def onnx_shape(shape: Shape) -> Shape:
    """Return a stored shape as ONNX has it."""
    return tuple(shape[i] for i in NCHW) if len(shape) == 4 else shape


def along(quant: Quant, rank: int) -> NDArray[Any]:
    """Return the scales so that they broadcast over a tensor of ``rank`` dimensions."""
    return quant.scale.reshape(
        [-1 if i == quant.axis else 1 for i in range(rank)] if quant.per_channel else [1]
    )


@dataclass(frozen=True, slots=True, eq=False)
class Const:
    """A constant, in ONNX's layout unless a rule changed it; integers with ``quant`` stand for reals."""

    data: NDArray[Any]
    quant: Quant | None = None

    @property
    def real(self) -> NDArray[np.float32]:
        """The real values in float32."""
        if self.quant is None:
            return np.asarray(self.data, np.float32)
        scale = along(self.quant, self.data.ndim)
        return np.asarray((self.data.astype(np.int64) - self.quant.zero_point) * scale, np.float32)

    def transposed(self, order: Shape) -> Const:
        """Return the constant with its dimensions, and its scales' axis, in another order."""
        quant = self.quant
        if quant is not None and quant.axis is not None:
            quant = replace(quant, axis=order.index(quant.axis))
        return Const(np.ascontiguousarray(self.data.transpose(order)), quant)


@dataclass(frozen=True, slots=True)
class Real:
    """A float32 tensor of the graph."""

    name: str


@dataclass(frozen=True, slots=True)
class Int8Tensor:
    """An int8 tensor of the graph, as the integers it is."""

    name: str


@dataclass(frozen=True, slots=True)
class View:
    """The reals that an int8 tensor of the graph stands for; no op computes them unless one is needed."""

    name: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A RESHAPE or TRANSPOSE of an op's output."""

    kind: OpKind
    shape: Shape
    axes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Pending:
    """An op that is not decided yet to be int8 or float32: that depends on who reads it."""

    name: str
    kind: OpKind
    operands: tuple[Value, ...]
    attributes: Attributes
    shape: Shape
    after: tuple[Moved, ...] = ()
    """Moves of its output, in whichever format it is decided to be."""


Value = Const | Real | Int8Tensor | View | Pending


@dataclass
class OnnxGraph:
    """The values by ONNX name, and the graph that is built."""

    opset: int
    """Version of the standard operators: some changed their meaning."""
    build: GraphBuilder = field(default_factory=GraphBuilder)
    values: dict[str, Value] = field(default_factory=dict)
    raw_inputs: dict[str, Shape] = field(default_factory=dict)
    """8-bit inputs whose scale is not known yet."""
    _dequantised: dict[str, str] = field(default_factory=dict)
    _settled: dict[str, str] = field(default_factory=dict)
    _shared: dict[int, tuple[Const, str]] = field(default_factory=dict)

    def value(self, node: Node, index: int) -> Value:
        """Return an input of a node.

        Raises:
            BadModel: if it was left out, or nothing wrote it.
        """
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name not in self.values:
            raise node.fail(f"reads {name!r}, which nothing has written", "a graph has no cycles")
        return self.values[name]

    def constant(self, node: Node, index: int) -> Const | None:
        """Return an input that must be a constant; None if it was left out.

        Raises:
            BadModel: if it is computed.
        """
        if index >= len(node.inputs) or not node.inputs[index]:
            return None
        value = self.value(node, index)
        if not isinstance(value, Const):
            raise node.fail(f"its input {node.inputs[index]!r} is no constant")
        return value

    def integers(self, node: Node) -> str:
        """Return the name of the int8 tensor that a node reads as integers; empty if it reads none."""
        value = self.values.get(node.inputs[0]) if node.inputs else None
        whole = isinstance(value, Int8Tensor) and self.build[value.name].dtype == "int8"
        return value.name if whole and isinstance(value, Int8Tensor) else ""

    def share(self, value: Const, name: str) -> None:
        """Let all float ops that read a constant read one tensor of that name."""
        self._shared[id(value)] = (value, self.build.constant(self.free(name), value.real))

    def shape(self, value: Value) -> Shape:
        """Return the stored shape of a value."""
        if isinstance(value, Const):
            return value.data.shape
        if isinstance(value, Pending):
            return value.after[-1].shape if value.after else value.shape
        return self.build[value.name].shape

    def pend(
        self,
        node: Node,
        kind: OpKind,
        operands: list[Value],
        *,
        suffix: str = "",
        declared: Shape = (),
        **attributes: Any,
    ) -> Pending:
        """Return an op whose format is decided later; ``declared``: its shape where inference is free."""
        attributes.setdefault("clamp", None)
        operands = [self.settled(v) for v in operands]
        tensors = {str(i): Tensor(str(i), self.shape(v)) for i, v in enumerate(operands)}
        tensors["y"] = Tensor("y", declared)
        op = Op(node.output, kind, tuple(tensors)[:-1], "y", Attributes(**attributes))
        try:
            found = infer(op, tensors)
        except (BadModel, IndexError) as error:
            reason = error.reason.split(";")[0] if isinstance(error, BadModel) else "its shapes do not fit"
            raise node.fail(reason) from None
        return Pending(node.output + suffix, kind, tuple(operands), op.attributes, found)

    def move(self, node: Node, kind: OpKind, operand: Value, *, suffix: str = "", **attributes: Any) -> Value:
        """Add an op that keeps the scale of what it reads: int8 in, int8 out.

        Behind an op that will be int8, once a scale is known for it, a view or an exchange of dimensions
        waits with it.
        """
        waiting = self.to_be_int8(operand)
        if waiting is not None and kind in (OpKind.RESHAPE, OpKind.TRANSPOSE):
            axes = attributes.get("axes", ())
            shape = attributes.get("shape") or tuple(self.shape(waiting)[axis] for axis in axes)
            moves = (*waiting.after, Moved(kind, shape, axes))
            return replace(waiting, name=node.output + suffix, after=moves)
        pending = self.pend(node, kind, [operand], suffix=suffix, **attributes)
        read = pending.operands[0]
        if isinstance(read, View):
            return View(self._emit_int8(pending, self.build[read.name].quant))
        return Real(self._emit_float(pending))

    def undecided(self, value: Value) -> Pending | None:
        """Return the pending op that a value is, if nothing has made it float32 yet."""
        return value if isinstance(value, Pending) and value.name not in self._settled else None

    def to_be_int8(self, value: Value) -> Pending | None:
        """Return the pending op that a value is, if all that it reads is stored as integers."""
        undecided = self.undecided(value)
        return undecided if undecided is not None and self._is_int8(undecided) else None

    def settled(self, value: Value) -> Value:
        """Return a value that is no pending op: such a one becomes float32."""
        return Real(self.float_name(value)) if isinstance(value, Pending) else value

    def quantised(self, node: Node, value: Value, quant: Quant) -> Int8Tensor | Const:
        """Return a value as int8 with this scale, by an op of int8 arithmetic where that is possible."""
        if isinstance(value, Const):
            integers = np.rint(value.real / along(quant, value.data.ndim)) + quant.zero_point
            return Const(np.clip(integers, -128, 127).astype(np.int8), quant)
        if quant.per_channel:
            raise node.fail("gives an activation a scale a channel", "one scale a tensor is supported")
        if isinstance(value, View):
            if quant.same_as(self.build[value.name].quant):
                return Int8Tensor(value.name)
            pending = Pending(node.output, OpKind.QUANTIZE, (value,), Attributes(), self.shape(value))
            return Int8Tensor(self._emit_int8(pending, quant))
        waiting = self.to_be_int8(value)
        if waiting is not None:
            return Int8Tensor(self._emit_int8(waiting, quant))
        name = self.free(node.output)
        self.build.activation(name, self.shape(value), quant)
        self.build.op(name, OpKind.QUANTIZE, (self.float_name(value),), name, Attributes())
        return Int8Tensor(name)

    def finished(self, name: str) -> str:
        """Return the tensor that is a graph output.

        Raises:
            BadModel: if nothing computed it.
        """
        value = self.values.get(name)
        if value is None or isinstance(value, Const):
            raise BadModel(f"output {name!r}", "is computed by no node")
        return value.name if isinstance(value, Int8Tensor) else self.float_name(value, name)

    def float_name(self, value: Value, called: str = "") -> str:
        """Return the name of a value as a float32 tensor, adding the ops that takes."""
        match value:
            case Real(name):
                return name
            case Const():
                return self.build.constant(self.free("constant"), value.real)
            case Pending(name=name):
                if name not in self._settled:
                    self._settled[name] = self._emit_float(value)
                return self._settled[name]
            case View(name) | Int8Tensor(name):
                if name not in self._dequantised:
                    new = self.free(called or f"{name}.real")
                    self.build.activation(new, self.build[name].shape, None, "float32")
                    self.build.op(new, OpKind.DEQUANTIZE, (name,), new, Attributes(clamp=None))
                    self._dequantised[name] = new
                return self._dequantised[name]

    def free(self, name: str) -> str:
        """Return ``name``, numbered if it is taken."""
        found, number = name, 1
        while found in self.build.tensors or found in self.raw_inputs:
            found, number = f"{name}_{number}", number + 1
        return found

    def _emit_float(self, op: Pending) -> str:
        inputs = tuple(
            self._float_constant(op, i, v) if isinstance(v, Const) else self.float_name(v)
            for i, v in enumerate(op.operands)
        )
        name = self.free(op.name)
        self.build.activation(name, op.shape, None, "float32")
        self.build.op(name, op.kind, inputs, name, op.attributes)
        return self._moved(op, name)

    def _float_constant(self, op: Pending, index: int, value: Const) -> str:
        if id(value) in self._shared:
            return self._shared[id(value)][1]
        return self.build.constant(self.free(_part(op, index)), value.real)

    def _moved(self, op: Pending, name: str) -> str:
        """Add the moves that follow an op, and return the name of what they give."""
        for move in op.after:
            before, quant, dtype = name, self.build[name].quant, self.build[name].dtype
            name = self.build.activation(self.free(f"{op.name}.moved"), move.shape, quant, dtype)
            shape = move.shape if move.kind is OpKind.RESHAPE else ()
            clamp = (-128, 127) if dtype == "int8" else None
            attributes = Attributes(axes=move.axes, shape=shape, clamp=clamp)
            self.build.op(name, move.kind, (before,), name, attributes)
        return name

    def _is_int8(self, op: Pending) -> bool:
        if TRAITS[op.kind].weighted:
            x, w = op.operands[:2]
            return isinstance(x, View) and isinstance(w, Const) and w.data.dtype == np.int8
        return any(isinstance(v, View) for v in op.operands) and all(
            isinstance(v, View | Const) for v in op.operands
        )

    def _emit_int8(self, op: Pending, quant: Quant | None) -> str:
        inputs = []
        for i, value in enumerate(op.operands):
            if isinstance(value, Const):
                inputs.append(self._int8_constant(op, i, value))
            else:
                assert isinstance(value, View)
                inputs.append(value.name)
        name = self.free(op.name)
        clamp = (-128, 127)
        if op.attributes.clamp is not None and quant is not None:
            bounds = np.rint(np.array(op.attributes.clamp, np.float32) / quant.scale[0]) + quant.zero_point
            low, high = np.clip(bounds, -128, 127)
            clamp = (int(low), int(high))
        fill = op.attributes.fill
        if fill is not None and quant is not None:
            fill = int(np.clip(np.rint(np.float32(fill) / quant.scale[0]) + quant.zero_point, -128, 127))
        self.build.activation(name, op.shape, quant)
        self.build.op(name, op.kind, tuple(inputs), name, replace(op.attributes, clamp=clamp, fill=fill))
        return self._moved(op, name)

    def _int8_constant(self, op: Pending, index: int, value: Const) -> str:
        if TRAITS[op.kind].weighted and index == 2:
            return self._bias(op, value)
        if value.data.dtype != np.int8:
            scale = max(float(np.abs(value.real).max()), 1e-12) / 127
            value = Const(np.rint(value.real / scale).astype(np.int8), Quant.of(scale))
        return self.build.constant(self.free(_part(op, index)), value.data, value.quant)

    def _bias(self, op: Pending, value: Const) -> str:
        x, w = op.operands[:2]
        assert isinstance(x, View)
        assert isinstance(w, Const)
        x_quant = self.build[x.name].quant
        if x_quant is None or w.quant is None:
            raise BadModel(f"op {op.name!r}", "has a quantised weight but no scales")
        scale = x_quant.scale.astype(np.float64) * w.quant.scale
        data = value.data
        if (
            data.dtype != np.int32
            or value.quant is None
            or not np.allclose(value.quant.scale, scale, rtol=1e-4)
        ):
            data = np.clip(np.rint(value.real / scale), -(2**31), 2**31 - 1).astype(np.int32)
        axis = 0 if w.quant.per_channel else None
        return self.build.constant(self.free(_part(op, 2)), data, Quant(scale, 0, axis))


def _part(op: Pending, index: int) -> str:
    parts = ("", "weight", "bias") if TRAITS[op.kind].weighted else ()
    return f"{op.name}.{parts[index]}" if index < len(parts) else f"{op.name}.constant"
