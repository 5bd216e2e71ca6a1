"""The parts of an ONNX file, checked: sizes of arrays against their bytes, attributes against their types."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel, MissingPackage

MAX_FILE_BYTES = 512 * 1024**2
MAX_NODES = 50_000
OLDEST_OPSET = 7
"""The first whose Add, Mul and Gemm broadcast as numpy does."""
NEWEST_OPSET = 24
"""The last whose operators were compared with ONNX Runtime."""

# Numbers of TensorProto.DataType, their names, and the field that holds values that are not raw.
TYPES = {
    1: ("float32", "float_data"),
    2: ("uint8", "int32_data"),
    3: ("int8", "int32_data"),
    6: ("int32", "int32_data"),
    7: ("int64", "int64_data"),
    9: ("bool", "int32_data"),
    10: ("float16", "int32_data"),
    11: ("float64", "double_data"),
}


REALS = (1, 10, 11)
"""Element types of real numbers: single, half and double precision."""


def read_onnx(path: str | Path) -> Any:
    """Return the ``ModelProto`` of a file.

    Raises:
        MissingPackage: if ``onnx`` is not installed.
        BadModel: if the file is missing, too large, damaged, or refers to other files.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingPackage("onnx", "reading an .onnx file", "onnx") from error
    path = Path(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadModel(
                str(path), f"is larger than {MAX_FILE_BYTES:,} B", "it is no microcontroller's model"
            )
        model = onnx.ModelProto.FromString(path.read_bytes())
    except OSError as error:
        raise BadModel(str(path), f"cannot be read: {error.strerror or error}") from error
    except Exception as error:  # protobuf's own error types differ between its versions
        if isinstance(error, BadModel):
            raise
        raise BadModel(str(path), f"is damaged: {error}", "get the file again") from error
    if not model.graph.node:
        raise BadModel(str(path), "holds no graph", "it is no ONNX model")
    if len(model.graph.node) > MAX_NODES:
        raise BadModel(str(path), f"has more than {MAX_NODES:,} nodes")
    return model


def opset_of(model: Any, where: str | Path) -> int:
    """Return the version of the standard operators a file is written in.

    Raises:
        BadModel: if it is so old that operators broadcast and normalise in another way, or newer than known.
    """
    versions = [int(v.version) for v in model.opset_import if v.domain in ("", "ai.onnx")]
    opset = max(versions, default=1)
    if opset < OLDEST_OPSET:
        raise BadModel(
            str(where),
            f"is written in opset {opset}, whose operators mean something else",
            f"onnx.version_converter.convert_version makes it {OLDEST_OPSET} or later",
        )
    if opset > NEWEST_OPSET:
        raise BadModel(
            str(where),
            f"is written in opset {opset}, and what operators mean is known up to {NEWEST_OPSET}",
            f"export it with opset {NEWEST_OPSET} or earlier",
        )
    return opset


def text(name: Any) -> str:
    """Return a name; protobuf gives bytes where it is no UTF-8."""
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def array_of(tensor: Any) -> NDArray[Any]:
    """Return the values of a ``TensorProto``.

    Raises:
        BadModel: if its type is not supported, it lies in another file, or its values do not fill its shape.
    """
    thing = f"tensor {tensor.name!r}"
    if tensor.data_type not in TYPES:
        raise BadModel(
            thing, f"has the ONNX element type {tensor.data_type}", "supported: float32, int8, uint8, int32"
        )
    if tensor.data_location:
        raise BadModel(thing, "keeps its values in another file", "save the model as one file")
    name, field = TYPES[tensor.data_type]
    shape = tuple(tensor.dims)
    if len(shape) > 8 or any(size < 0 for size in shape):
        raise BadModel(thing, f"has shape {shape}")
    if tensor.raw_data:
        if prod(shape) * np.dtype(name).itemsize != len(tensor.raw_data):
            raise BadModel(
                thing, f"of shape {shape} and type {name} has {len(tensor.raw_data):,} B of values"
            )
        return np.frombuffer(tensor.raw_data, np.dtype(name).newbyteorder("<")).reshape(shape).astype(name)
    values = getattr(tensor, field)
    if name == "float16":  # its bits, as integers
        values = np.array(values).astype(np.uint16).view(np.float16)
    if len(values) != prod(shape):
        raise BadModel(thing, f"of shape {shape} has {len(values):,} values")
    return np.array(values).astype(name).reshape(shape)


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of a graph input; a free first dimension, the batch, becomes 1.

    Raises:
        BadModel: if it is no float, int8 or uint8 tensor, or another dimension is free.
    """
    kind = value.type.tensor_type
    if kind.elem_type not in (*REALS, 2, 3):
        raise BadModel(f"input {value.name!r}", f"has the ONNX element type {kind.elem_type}")
    sizes = [int(d.dim_value) if d.HasField("dim_value") else 0 for d in kind.shape.dim]
    if sizes and sizes[0] < 1:
        sizes[0] = 1
    if not sizes or len(sizes) > 8 or min(sizes) < 1:
        raise BadModel(
            f"input {value.name!r}", f"has the dynamic shape {sizes}", "fix all sizes when exporting"
        )
    return tuple(sizes)


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its type, its values by name (empty: left out), its attributes as plain data."""

    index: int
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    @property
    def output(self) -> str:
        """The first output, which is the only one of nearly all nodes."""
        return next((name for name in self.outputs if name), "")

    def fail(self, reason: str, way_out: str = "") -> BadModel:
        """Return the error for this node."""
        listed = f"inputs {', '.join(map(repr, self.inputs))}; output {self.output!r}"
        return BadModel(f"node {self.index} ({self.kind})", f"{reason}; {listed}", way_out)

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Return an attribute that is a list of integers."""
        value = self.attributes.get(name, default)
        if not isinstance(value, tuple) or not all(isinstance(v, int) and abs(v) < 2**31 for v in value):
            raise self.fail(f"its attribute {name!r} is no list of integers")
        return value

    def integer(self, name: str, default: int) -> int:
        """Return an attribute that is an integer."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise self.fail(f"its attribute {name!r} is no integer")
        return value

    def axes(self, listed: tuple[int, ...], rank: int) -> tuple[int, ...]:
        """Return dimensions of a tensor of ``rank`` dimensions, negative ones counted from the front."""
        found = tuple(a % rank if -rank <= a < rank else -1 for a in listed)
        if -1 in found or len({*found}) < len(found):
            raise self.fail(f"names dimensions {listed} of {rank}")
        return found


def node_of(index: int, proto: Any) -> Node:
    """Return a ``NodeProto`` as plain data.

    Raises:
        BadModel: if it has no output, or is of another domain.
    """
    attributes: dict[str, Any] = {}
    for a in proto.attribute:
        match a.type:
            case 1 | 2:
                attributes[text(a.name)] = a.f if a.type == 1 else int(a.i)
            case 3:
                attributes[text(a.name)] = a.s.decode("utf-8", "replace")
            case 4:
                attributes[text(a.name)] = array_of(a.t)
            case 6 | 7:
                attributes[text(a.name)] = tuple(a.floats) if a.type == 6 else tuple(int(i) for i in a.ints)
            case 8:
                attributes[text(a.name)] = tuple(s.decode("utf-8", "replace") for s in a.strings)
            case _:
                attributes[text(a.name)] = None
    inputs = tuple(text(name) for name in proto.input)
    outputs = tuple(text(name) for name in proto.output)
    node = Node(index, text(proto.op_type), inputs, outputs, attributes)
    if not node.output:
        raise node.fail("has no outputs")
    if proto.domain not in ("", "ai.onnx", "com.microsoft"):
        raise node.fail(f"is of the domain {proto.domain!r}")
    return node


def in_order(nodes: list[Node]) -> list[Node]:
    """Return nodes so that each comes after those it reads; as they are if they already do.

    Raises:
        BadModel: if there is a cycle: names a node of it.
    """
    makers = {name: node for node in nodes for name in node.outputs if name}
    before = {node.index: [makers[name].index for name in node.inputs if name in makers] for node in nodes}
    if all(other < index for index, others in before.items() for other in others):
        return nodes
    try:
        return [nodes[index] for index in TopologicalSorter(before).static_order()]
    except CycleError as error:
        raise nodes[error.args[1][0]].fail(
            "reads what follows from its own output", "a graph has no cycles"
        ) from None
