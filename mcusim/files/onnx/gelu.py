"""GELU as exporters spell it before opset 20: x/2 · (1 + erf(x/√2)), in five nodes, is one again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isclose, sqrt

import numpy as np

from mcusim.files.onnx.graph import Const, Value
from mcusim.files.onnx.proto import Node


def with_gelu(nodes: list[Node], values: Mapping[str, Value]) -> list[Node]:
    """Return nodes with every such chain replaced by a Gelu in the place of its last node.

    Args:
        nodes: in the order of the file; nodes of other chains stay as they are.
        values: what is known of values, among them constants.
    """
    if not any(node.kind == "Erf" for node in nodes):
        return nodes
    chains = _Chains(nodes, values)
    for node in nodes:
        if node.kind == "Erf":
            chains.join(node)
    return [chains.joined.get(node.index, node) for node in nodes if node.index not in chains.gone]


class _Chains:
    def __init__(self, nodes: list[Node], values: Mapping[str, Value]) -> None:
        self._makers = {name: node for node in nodes for name in node.outputs if name}
        self._readers: dict[str, list[Node]] = {}
        for node in nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)
        self._values = values
        self.joined: dict[int, Node] = {}
        """By index: what takes the place of the last node of a chain."""
        self.gone: set[int] = set()

    def join(self, erf: Node) -> None:
        """Note the chain around an Erf, if it is one."""
        before = self._makers.get(erf.inputs[0])
        x = None if before is None else self._scaled(before, "Mul", 1 / sqrt(2))
        if before is not None and x is None and before.kind == "Div" and self._is(before.inputs[1], sqrt(2)):
            x = before.inputs[0]
        plus = self._only_reader(erf)
        if x is None or plus is None or self._scaled(plus, "Add", 1) is None:
            return
        middle, found = self._only_reader(plus), [erf, plus]
        if middle is None or middle.kind != "Mul":
            return
        (other,) = [name for name in middle.inputs if name != plus.output] or [""]
        half = self._makers.get(other)
        if half is not None and self._scaled(half, "Mul", 0.5) == x:  # (x/2) · (1 + erf)
            last, found = middle, [*found, half]
        else:
            end = self._only_reader(middle)
            ends = (
                end is not None
                and end.kind == "Mul"
                and (
                    (other == x and self._scaled(end, "Mul", 0.5) == middle.output)
                    or (self._is(other, 0.5) and x in end.inputs)
                )
            )
            if end is None or not ends:
                return
            last, found = end, [*found, middle]
        if len(self._readers[erf.inputs[0]]) == 1:
            found.append(before)  # type: ignore[arg-type]  # x came from it
        self.gone.update(node.index for node in found if self._only_reader(node) is not None)
        self.joined[last.index] = replace(last, kind="Gelu", inputs=(x,), attributes={})

    def _only_reader(self, node: Node) -> Node | None:
        readers = self._readers.get(node.output, [])
        return readers[0] if len(readers) == 1 else None

    def _scaled(self, node: Node, kind: str, number: float) -> str | None:
        """Return what a node combines with a constant number; None if it is no such node."""
        if node.kind != kind or len(node.inputs) != 2:
            return None
        for place, name in enumerate(node.inputs):
            if self._is(name, number):
                return node.inputs[1 - place]
        return None

    def _is(self, name: str, number: float) -> bool:
        value, maker = self._values.get(name), self._makers.get(name)
        if isinstance(value, Const):
            given = value.real.reshape(-1)
        elif maker is not None and maker.kind == "Constant":
            named = maker.attributes.get("value", maker.attributes.get("value_float", ()))
            given = np.asarray(named, np.float32).reshape(-1)
        else:
            return False
        return len(given) == 1 and isclose(float(given[0]), number, rel_tol=1e-4)
