"""Float networks from PyTorch, through ``torch.export``: planes-first graphs become NHWC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel, MissingPackage
from mcusim.files.torch.operators import NHWC, RULES, Shape, stored
from mcusim.graph import Attributes, Model, OpKind, Preprocessing
from mcusim.graph.build import GraphBuilder
from mcusim.graph.validate import validate


def from_torch(
    module: Any,
    shape: Shape | None = None,
    *,
    name: str = "network",
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] = (),
) -> Model:
    """Return a PyTorch network as a float32 `Model`.

    Batch normalisation arrives as MUL and ADD by constants, which `fold` puts into the weights.

    Args:
        module: a ``torch.nn.Module``, or what ``torch.export.export`` made of one.
        shape: of the input, planes first with a batch of 1, such as (1, 3, 32, 32); for a module.
        name: of the model.
        preprocessing: what the network expects; see `Preprocessing`.
        labels: names of the classes.

    Raises:
        MissingPackage: without PyTorch.
        BadModel: if the network cannot be exported, or has an operation that is not supported.
    """
    try:
        import torch
    except ImportError:
        raise MissingPackage("torch", "reading a PyTorch network", "torch") from None
    if isinstance(module, torch.nn.Module):
        if shape is None:
            raise BadModel(name, "has no input shape", "pass shape=(1, 3, height, width)")
        try:
            module = torch.export.export(module.eval(), (torch.zeros(shape),))
        except Exception as error:  # whatever the module's own code raises
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BadModel(name, f"cannot be exported: {first}", "torch.export must accept it") from error
    walker = _Walker(module, name)
    output = walker.walk()
    return validate(
        Model(
            name=name,
            ops=tuple(walker.build.ops),
            tensors=walker.build.tensors,
            inputs=walker.inputs,
            outputs=(output,),
            head=next((o.name for o in walker.build.ops if o.output == output and o.weight), None),
            preprocessing=preprocessing or Preprocessing(),
            labels=tuple(labels),
            source="PyTorch",
        )
    )


def load_exported(path: str | Path) -> Model:
    """Load a ``.pt2`` file that ``torch.export.save`` wrote. Such files can run code: trust their source.

    Raises:
        MissingPackage: without PyTorch.
        BadModel: if the file is missing or damaged, or has an operation that is not supported.
    """
    path = Path(path)
    try:
        import torch
    except ImportError:
        raise MissingPackage("torch", "reading a .pt2 file", "torch") from None
    if not path.is_file():
        raise BadModel(str(path), "there is no such file")
    try:
        program = torch.export.load(path)
    except Exception as error:  # torch raises whatever its reader meets
        raise BadModel(str(path), f"is no exported program: {error}", "use torch.export.save") from error
    return from_torch(program, name=path.stem)


class _Walker:
    """Turns the nodes of an exported program into ops, in order."""

    def __init__(self, program: Any, name: str) -> None:
        self.program, self.name = program, name
        self.build = GraphBuilder()
        self.inputs: tuple[str, ...] = ()
        self.names: dict[Any, str] = {}
        """Tensor of each node that is computed."""
        self.arrays: dict[Any, NDArray[Any]] = {}
        """Values of each node that is a parameter, in PyTorch's layout."""

    def walk(self) -> str:
        """Add all ops and return the output's name."""
        signature = self.program.graph_signature
        held = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        lifted = signature.inputs_to_lifted_tensor_constants
        for node in self.program.graph.nodes:
            if node.op == "placeholder" and (node.name in held or node.name in lifted):
                key = held.get(node.name) or lifted[node.name]
                value = self.program.state_dict.get(key, self.program.constants.get(key))
                self.arrays[node] = value.detach().cpu().numpy()
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
        rule: Callable[..., str] | None = RULES.get(target) or RULES.get(target.split(".")[0])
        if rule is None:
            known = ", ".join(sorted(RULES))
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
