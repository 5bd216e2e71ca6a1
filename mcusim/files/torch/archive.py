"""Exported PyTorch programs out of ``.pt2`` archives, without PyTorch and without running what is in them.

The archive (``torch.export.save``, archive version 0) holds the graph as JSON and every weight as raw bytes.
Only the sample inputs are a pickle, which is a program, and nobody needs them: they are never opened. A
weight that is pickled is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.core.boundary import reading
from mcusim.files.arrays import read_archive

GRAPH = "models/model.json"
TENSORS = {
    "data/weights/": "data/weights/model_weights_config.json",
    "data/constants/": "data/constants/model_constants_config.json",
}
"""Folders of raw tensors, and the table of each."""
PREFIX = "torch.ops."
MAX_NODES = 100_000
WAY_OUT = "write it with torch.export.save of PyTorch 2.9 or later"
DTYPES = {1: "u1", 2: "i1", 3: "i2", 4: "i4", 5: "i8", 6: "f2", 7: "f4", 8: "f8", 12: "?"}
"""Numbers of element types in PyTorch's schema of exported programs, as numpy calls them."""
POSITIONAL = 1
SCALARS = {"as_int": int, "as_float": float, "as_bool": bool, "as_string": str}
LISTS = {"as_ints": int, "as_floats": float, "as_bools": bool}
NUMBERS = ("as_scalar_type", "as_memory_format", "as_layout")
"""Arguments that name a type or a layout by its number."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """What is known of a tensor that is computed."""

    shape: tuple[int, ...]


@dataclass(slots=True, eq=False)
class ExportedNode:
    """A node of the graph, with the attributes of those that ``torch.export`` makes."""

    name: str
    op: str
    target: str = ""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExportedProgram:
    """What a graph is made of: the nodes in order, and the values of those that are parameters."""

    nodes: tuple[ExportedNode, ...]
    arrays: Mapping[str, NDArray[Any]]
    """Name of a node -> its values."""


def read_program(path: Path) -> ExportedProgram:
    """Return the program in an archive.

    Raises:
        BadModel: if the file is damaged, of another layout, larger than what it holds, or has a weight that
            is a pickle; whatever is wrong with it, nothing of it has run.
    """
    with reading(path, BadModel, WAY_OUT):
        entries = _without_root(path, read_archive(path))
        if GRAPH not in entries:
            old = any("serialized" in name for name in entries)
            reason = (
                "holds its weights as a pickle, which could run any code" if old else "is no exported program"
            )
            raise BadModel(str(path), reason, WAY_OUT)
        order = entries.get("byteorder", b"little")
        if order not in (b"little", b"big"):
            raise BadModel(str(path), f"has the byte order {order[:20]!r}", WAY_OUT)
        tensors = _tensors(path, entries, "<" if order == b"little" else ">")
        module = json.loads(entries[GRAPH])["graph_module"]
        return _Graph(path, module["graph"]).program(module["signature"]["input_specs"], tensors)


def _without_root(path: Path, entries: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the entries of the archive's one folder."""
    found = {}
    for name, content in entries.items():
        root, _, rest = name.partition("/")
        if not rest or root != next(iter(entries)).partition("/")[0]:
            raise BadModel(str(path), f"holds {name!r} beside its folder", WAY_OUT)
        found[rest] = content
    return found


def _tensors(path: Path, entries: Mapping[str, bytes], order: str) -> dict[str, NDArray[Any]]:
    found = {}
    for folder, table in TENSORS.items():
        for name, about in json.loads(entries.get(table, b'{"config": {}}'))["config"].items():
            if about["use_pickle"] is not False:
                reason = "is a pickle, which could run any code"
                raise BadModel(f"{path}: weight {name!r}", reason, WAY_OUT)
            data = entries[folder + about["path_name"]]
            found[name] = _array(f"{path}: weight {name!r}", data, about["tensor_meta"], order)
    return found


def _array(thing: str, data: bytes, about: Mapping[str, Any], order: str) -> NDArray[Any]:
    """Return a tensor out of its storage, which may have gaps and another order of dimensions."""
    shape, strides = _sizes(about["sizes"]), _sizes(about["strides"])
    start = _sizes([about["storage_offset"]])[0]
    if about["dtype"] not in DTYPES:
        way_out = "supported: integers, float16, float32, float64"
        raise BadModel(thing, f"is of type {about['dtype']!r}", way_out)
    kind = np.dtype(order + DTYPES[about["dtype"]])
    last = start + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if (prod(shape) and (last + 1) * kind.itemsize > len(data)) or len(data) % kind.itemsize:
        raise BadModel(thing, f"has {len(data):,} B for shape {shape} with strides {strides}", WAY_OUT)
    if prod(shape) * kind.itemsize > len(data):
        raise BadModel(thing, f"repeats {len(data):,} B to shape {shape}", "call .contiguous() on it")
    storage = np.frombuffer(data, kind)[start:]
    steps = [step * kind.itemsize for step in strides]
    if not prod(shape):
        return np.zeros(shape, kind.newbyteorder("="))
    view = np.lib.stride_tricks.as_strided(storage, shape, steps, writeable=False)
    return np.ascontiguousarray(view).reshape(shape).astype(kind.newbyteorder("="))


def _sizes(values: Any) -> tuple[int, ...]:
    """Return whole numbers that are given as such, and not as symbols."""
    found = tuple(value.get("as_int") for value in values)
    if not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**40 for n in found):
        raise ValueError(f"sizes {list(values)!r:.60} are no numbers: export with fixed shapes")
    return found


class _Graph:
    """Turns the JSON of a graph into nodes."""

    def __init__(self, path: Path, graph: Mapping[str, Any]) -> None:
        self._path, self._graph = path, graph
        self._nodes: dict[str, ExportedNode] = {}

    def program(self, inputs: list[dict[str, Any]], tensors: Mapping[str, NDArray[Any]]) -> ExportedProgram:
        """Return the program of the graph and the inputs' roles."""
        if len(self._graph["nodes"]) > MAX_NODES:
            raise BadModel(str(self._path), f"has {len(self._graph['nodes']):,} nodes", "it is too large")
        arrays = {}
        for given in inputs:
            name, tensor = _input(given)
            self._add(ExportedNode(name, "placeholder", name))
            if tensor is not None:
                if tensor not in tensors:
                    raise BadModel(str(self._path), f"lacks the weight {tensor!r}", WAY_OUT)
                arrays[name] = tensors[tensor]
        for number, described in enumerate(self._graph["nodes"]):
            self._call(number, described)
        outputs = [self._value("the outputs", output) for output in self._graph["outputs"]]
        nodes = (*self._nodes.values(), ExportedNode("output", "output", args=(tuple(outputs),)))
        return ExportedProgram(nodes, arrays)

    def _add(self, node: ExportedNode) -> None:
        if node.name in self._nodes:
            raise BadModel(str(self._path), f"has two nodes {node.name!r}", WAY_OUT)
        sizes = self._graph["tensor_values"][node.name]["sizes"]
        node.meta["val"] = Shaped(_sizes(sizes))
        self._nodes[node.name] = node

    def _call(self, number: int, described: Mapping[str, Any]) -> None:
        target = str(described["target"]).removeprefix(PREFIX)
        where = f"node {number} ({target})"
        outputs = described["outputs"]
        if len(outputs) != 1 or {*outputs[0]} != {"as_tensor"}:
            raise BadModel(f"{self._path}: {where}", "does not give one tensor", "export another network")
        node = ExportedNode(outputs[0]["as_tensor"]["name"], "call_function", target)
        args = []
        for given in described["inputs"]:
            value = self._value(where, given["arg"])
            if given["kind"] == POSITIONAL:
                args.append(value)
            else:
                node.kwargs[str(given["name"])] = value
        node.args = tuple(args)
        stack = str(described.get("metadata", {}).get("nn_module_stack", ""))
        modules = [entry.split(",") for entry in stack.split(";") if entry.count(",") >= 2]
        node.meta["nn_module_stack"] = {entry[0]: (entry[1], entry[2]) for entry in modules}
        self._add(node)

    def _value(self, where: str, given: Mapping[str, Any]) -> Any:
        (kind, value), *more = given.items()
        if not more:
            if kind == "as_none":
                return None
            if kind == "as_tensor":
                return self._nodes[value["name"]]
            if kind == "as_tensors":
                return [self._nodes[one["name"]] for one in value]
            if kind == "as_optional_tensors":
                return [self._value(where, one) for one in value]
            if kind == "as_optional_tensor":
                return self._value(where, value)
            if kind in ("as_sym_int", "as_sym_ints"):
                numbers = _sizes(value if kind == "as_sym_ints" else [value])
                return list(numbers) if kind == "as_sym_ints" else numbers[0]
            if kind in SCALARS and isinstance(value, SCALARS[kind]):
                return value
            if kind in LISTS and isinstance(value, list) and all(isinstance(v, LISTS[kind]) for v in value):
                return value
            if kind in NUMBERS and isinstance(value, int):
                return value
            if kind == "as_device":
                return str(value.get("type"))
        raise BadModel(
            f"{self._path}: {where}", f"has an argument of kind {kind!r}", "export another network"
        )


def _input(given: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the name of an input's node and, if it is a weight, the name of that."""
    ((role, about),) = given.items()
    if role == "user_input":
        return about["arg"]["as_tensor"]["name"], None
    names = {
        "parameter": "parameter_name",
        "buffer": "buffer_name",
        "tensor_constant": "tensor_constant_name",
    }
    if role not in names:
        raise ValueError(f"an input is a {role!r:.40}")
    return about["arg"]["name"], about[names[role]]
