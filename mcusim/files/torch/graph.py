"""The graph of an exported PyTorch program on its way to ops: planes-first becomes NHWC."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.files.torch.archive import ExportedProgram
from mcusim.files.torch.folding import fold
from mcusim.files.torch.layout import Held, Order, channels_last, gathered, plain, reshaped, thick
from mcusim.files.torch.layout import stored as memory
from mcusim.graph import Attributes, OpKind
from mcusim.graph.build import GraphBuilder

Rule = Callable[..., str | Held]
"""Adds what one operation becomes, from the graph, the node and its arguments; returns the output's name, and
the order of its dimensions where that is not the usual one."""
Shape = tuple[int, ...]
NHWC = plain(4)
"""Dimension ``i`` of a stored tensor is dimension ``NHWC[i]`` of PyTorch's."""


def stored(shape: Sequence[int]) -> Shape:
    """Return a PyTorch shape as it is stored here: four dimensions become NHWC."""
    return tuple(int(shape[i]) for i in NHWC) if len(shape) == 4 else tuple(map(int, shape))


class TorchGraph:
    """Turns the nodes of an exported program into ops, in order, each by the rule of its operation."""

    def __init__(self, program: ExportedProgram, name: str, rules: Mapping[str, Rule]) -> None:
        self.program, self.name, self.rules = program, name, rules
        self.build = GraphBuilder()
        self.inputs: tuple[str, ...] = ()
        self.kept: dict[Any, Held] = {}
        """Tensor of each node that is computed."""
        self._moved: dict[tuple[str, tuple[int, ...]], str] = {}
        """By tensor and by how its dimensions are permuted."""
        self._readers: dict[Any, list[Any]] = {}
        self._parameters: dict[tuple[Any, Shape], str] = {}
        self.arrays: dict[Any, Any] = {}
        """Values of each node that is a constant, in PyTorch's layout; a list of those that give several."""

    def walk(self) -> tuple[str, ...]:
        """Add all ops and return the names of the outputs."""
        for node in self.program.nodes:
            for given in _flat((*node.args, *node.kwargs.values())):
                self._readers.setdefault(given, []).append(node)
        for node in self.program.nodes:
            if node.op == "placeholder" and node.name in self.program.arrays:
                self.arrays[node] = self.program.arrays[node.name]
            elif node.op == "placeholder":
                shape = self.shape(node)
                order = channels_last(len(shape)) if self._convolved(node) else plain(len(shape))
                self.build.activation(node.name, memory(shape, order), None, "float32")
                self.kept[node] = Held(node.name, order)
                self.inputs += (node.name,)
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                return tuple(self.tensor(found) for found in node.args[0])
        raise BadModel(self.name, "has no output")

    def _call(self, node: Any) -> None:
        target = str(node.target).removeprefix("aten.")
        constant = self._folded(target, node)
        if constant is not None:
            self.arrays[node] = constant
            return
        rule = self.rules.get(target) or self.rules.get(target.split(".")[0])
        if rule is None:
            known = ", ".join(sorted(self.rules))
            raise self.fail(node, f"is not supported; supported: {known}")
        found = rule(self, node, *node.args, **node.kwargs)
        self.kept[node] = found if isinstance(found, Held) else Held(found, plain(len(self.shape(node))))

    def _folded(self, target: str, node: Any) -> Any:
        """Return the values of a node that follow from constants and shapes; None if they do not."""
        given = _flat((*node.args, *node.kwargs.values()))
        of_shape = target.split(".")[0].endswith("_like") or target.startswith("new_")
        if not of_shape and any(one not in self.arrays for one in given):
            return None

        def value(given: Any) -> Any:
            if isinstance(given, list | tuple):
                return [value(one) for one in given]
            return self.arrays.get(given, given) if hasattr(given, "target") else given

        try:
            kwargs = {name: value(given) for name, given in node.kwargs.items()}
            return fold(target, self.shape(node), [value(given) for given in node.args], kwargs)
        except BadModel as error:
            raise self.fail(node, error.reason) from None
        except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
            raise self.fail(node, f"cannot be computed of its constants: {error}") from None

    def parameter(self, node: Any, array: NDArray[Any]) -> str:
        """Return the name of a weight as an op takes it; ops that read the same one share it."""
        key = (node, array.shape)
        if key not in self._parameters:
            self._parameters[key] = self.build.constant(self.free(node.name), array)
        return self._parameters[key]

    def fail(self, node: Any, reason: str) -> BadModel:
        """Return the error for a node that has unusual arguments."""
        return BadModel(f"{self.name}: node {node.name!r} ({node.target})", reason)

    def shape(self, node: Any) -> Shape:
        """Return a node's shape in PyTorch's layout."""
        value = node.meta["val"]
        return tuple(int(s) for s in getattr(value, "shape", ()))

    def tensor(self, node: Any) -> str:
        """Return the name of a node's tensor in the usual order; of a parameter, as a constant."""
        if node not in self.kept:
            array = np.asarray(self.arrays[node], np.float32).transpose(plain(len(self.shape(node))))
            return self.build.constant(self.free(f"{node.name}.value"), np.ascontiguousarray(array))
        return self.ordered(node, plain(len(self.shape(node))))

    def held(self, node: Any) -> Held:
        """Return a node's tensor in whatever order it lies in memory."""
        if node not in self.kept:
            self.kept[node] = Held(self.tensor(node), plain(len(self.shape(node))))
        return self.kept[node]

    def ordered(self, node: Any, order: Order) -> str:
        """Return the name of a node's tensor in an order; elements are moved, once, where that is needed."""
        return self.in_order(self.held(node), self.shape(node), order)

    def in_order(self, held: Held, shape: Shape, order: Order) -> str:
        """Return the name of a tensor of a PyTorch shape in an order."""
        if held.order == order:
            return held.name
        axes = tuple(held.order.index(i) for i in order)
        if (held.name, axes) not in self._moved:
            name, new = self.free(f"{held.name}.moved"), memory(shape, order)
            self.build.activation(name, new, None, "float32")
            if thick(shape, held.order) == thick(shape, order):
                attributes = Attributes(shape=new, clamp=None)
                self.build.op(name, OpKind.RESHAPE, (held.name,), name, attributes)
            else:
                self.build.op(name, OpKind.TRANSPOSE, (held.name,), name, Attributes(axes=axes, clamp=None))
            self._moved[held.name, axes] = name
        return self._moved[held.name, axes]

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
        """Add what gives a tensor another shape, both in PyTorch's layout, and in the usual order."""
        held = self.reshape(node, Held(name, plain(len(old))), old, new, suffix=suffix)
        return self.in_order(held, new, plain(len(new)))

    def reshape(self, node: Any, held: Held, old: Shape, new: Shape, *, suffix: str = "") -> Held:
        """Add what gives a tensor another shape; it keeps its order in memory where that is possible."""
        order = reshaped(old, new, held.order)
        if order is None:
            moved = gathered(old, new, held.order)
            held = Held(self.in_order(held, old, moved), moved)
            order = reshaped(old, new, moved)
            assert order is not None
        shape = memory(new, order)
        return Held(self.op(node, OpKind.RESHAPE, (held.name,), shape, suffix=suffix, shape=shape), order)

    def _convolved(self, node: Any) -> bool:
        """True if a tensor of three dimensions is a signal: the first that reads channels convolves it."""
        if len(self.shape(node)) != 3:
            return False
        for reader in self._readers.get(node, ()):
            name = str(reader.target).removeprefix("aten.").split(".")[0]
            if name in ("conv1d", "max_pool1d", "avg_pool1d", "batch_norm"):
                return True
            through = ("relu", "pad", "constant_pad_nd", "dropout", "clone")
            if name in through and self._convolved(reader):
                return True
        return False


def _flat(values: Any) -> Iterator[Any]:
    """Yield the nodes among arguments, lists of them included."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        elif hasattr(value, "target"):
            yield value
