"""The graph of an exported PyTorch program on its way to ops: planes-first becomes NHWC."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.files.torch.archive import ExportedProgram
from mcusim.graph import Attributes, OpKind
from mcusim.graph.build import GraphBuilder

Rule = Callable[..., str]
"""Adds what one operation becomes, from the graph, the node and its arguments; returns the output's name."""
Shape = tuple[int, ...]
NHWC, NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
"""Dimension ``i`` of a stored tensor is dimension ``NHWC[i]`` of PyTorch's, and the other way round."""


def stored(shape: Sequence[int]) -> Shape:
    """Return a PyTorch shape as it is stored here: four dimensions become NHWC."""
    return tuple(int(shape[i]) for i in NHWC) if len(shape) == 4 else tuple(map(int, shape))


class TorchGraph:
    """Turns the nodes of an exported program into ops, in order, each by the rule of its operation."""

    def __init__(self, program: ExportedProgram, name: str, rules: Mapping[str, Rule]) -> None:
        self.program, self.name, self.rules = program, name, rules
        self.build = GraphBuilder()
        self.inputs: tuple[str, ...] = ()
        self.names: dict[Any, str] = {}
        """Tensor of each node that is computed."""
        self.arrays: dict[Any, NDArray[Any]] = {}
        """Values of each node that is a parameter, in PyTorch's layout."""

    def walk(self) -> str:
        """Add all ops and return the output's name."""
        for node in self.program.nodes:
            if node.op == "placeholder" and node.name in self.program.arrays:
                self.arrays[node] = self.program.arrays[node.name]
            elif node.op == "placeholder":
                shape = stored(node.meta["val"].shape)
                self.names[node] = self.build.activation(node.name, shape, None, "float32")
                self.inputs += (node.name,)
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                if len(node.args[0]) != 1:
                    raise BadModel(
                        self.name, f"has {len(node.args[0])} outputs", "export one with one output"
                    )
                return self.tensor(node.args[0][0])
        raise BadModel(self.name, "has no output")

    def _call(self, node: Any) -> None:
        target = str(node.target).removeprefix("aten.")
        rule = self.rules.get(target) or self.rules.get(target.split(".")[0])
        if rule is None:
            known = ", ".join(sorted(self.rules))
            raise self.fail(node, f"is not supported; supported: {known}")
        self.names[node] = rule(self, node, *node.args, **node.kwargs)

    def fail(self, node: Any, reason: str) -> BadModel:
        """Return the error for a node that has unusual arguments."""
        return BadModel(f"{self.name}: node {node.name!r} ({node.target})", reason)

    def shape(self, node: Any) -> Shape:
        """Return a node's shape in PyTorch's layout."""
        return tuple(int(s) for s in node.meta["val"].shape)

    def tensor(self, node: Any) -> str:
        """Return the name of a node's tensor; a parameter becomes a constant of rank 4 if it has rank 3."""
        if node in self.names:
            return self.names[node]
        return self.constant(f"{node.name}.value", self.arrays[node])

    def constant(self, name: str, array: NDArray[Any] | float) -> str:
        """Add a constant in PyTorch's layout, which may be broadcast against a 4-D tensor."""
        array = np.asarray(array, np.float32)
        if array.ndim == 3:
            array = array[None]
        return self.build.constant(self.free(name), array.transpose(NHWC) if array.ndim == 4 else array)

    def free(self, name: str) -> str:
        """Return ``name``, numbered if it is taken."""
        taken, number = name, 1
        while taken in self.build.tensors:
            taken, number = f"{name}_{number}", number + 1
        return taken

    def op(
        self,
        node: Any,
        kind: OpKind,
        inputs: Sequence[str],
        out: Shape,
        *,
        suffix: str = "",
        **attributes: Any,
    ) -> str:
        """Append an op named after the module it comes from; ``out`` is the stored output shape."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        label = (stack[-1][0] if stack else "") or node.name
        name = self.free(label + suffix)
        self.build.activation(name, out, None, "float32")
        attributes.setdefault("clamp", None)
        self.build.op(name, kind, tuple(inputs), name, Attributes(**attributes))
        return name

    def reshaped(self, node: Any, name: str, old: Shape, new: Shape, *, suffix: str = "") -> str:
        """Add what gives a tensor another shape, both in PyTorch's layout and order of elements."""
        if len(old) == 4 and old[2:] != (1, 1):
            # PyTorch flattens planes first.
            name = self.op(node, OpKind.TRANSPOSE, (name,), old, suffix=f"{suffix}.planes", axes=NCHW)
        name = self.op(node, OpKind.RESHAPE, (name,), new, suffix=suffix, shape=new)
        if len(new) == 4:
            name = self.op(node, OpKind.TRANSPOSE, (name,), stored(new), suffix=suffix, axes=NHWC)
        return name
