"""The same network written in another way: what each rewrite has to see through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from mcusim.graph import Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.validate import validate

Wants = Callable[[str], bool]
"""Asked at every place where a network can be disguised, with the name of a rewrite; true: do it here."""


def plain(model: Model) -> Model:
    """Return a network that adds a constant first, and some of whose ops clamp as a fused RELU does."""
    tensors = dict(model.tensors)
    x = model.input
    tensors["shift"] = _constant("shift", (1, 1, 1, x.shape[-1]), x.quant)
    tensors["shifted"] = replace(x, name="shifted")
    ops = [Op("shift.op", OpKind.ADD, (x.name, "shift"), "shifted", Attributes())]
    for number, op in enumerate(model.ops):
        if op.traits.masked and op.traits.fuses and tensors[op.output].dtype == "int8" and number % 2:
            y = tensors[op.output]
            tensors[y.name] = replace(y, quant=Quant(y.quant.scale, -100))
            op = replace(op, attributes=replace(op.attributes, clamp=(-100, 100)))
        ops.append(replace(op, inputs=tuple("shifted" if n == x.name else n for n in op.inputs)))
    return validate(replace(model, ops=tuple(ops), tensors=tensors))


def _constant(name: str, shape: tuple[int, ...], quant: Quant | None) -> Tensor:
    data = np.arange(-40, 200, 7, dtype=np.int16)[: prod(shape)].astype(np.int8).reshape(shape)
    data.flags.writeable = False
    return Tensor(name, shape, "int8", quant, data)


def disguised(model: Model, wants: Wants) -> Model:
    """Return ``model`` with ops that change nothing, where ``wants`` says so."""
    ops: list[Op] = []
    tensors = dict(model.tensors)

    def tensor(name: str, like: Tensor, shape: tuple[int, ...]) -> str:
        tensors[name] = replace(like, name=name, shape=shape)
        return name

    def twice(kind: OpKind, x: str, first: Attributes, second: Attributes, shape: tuple[int, ...]) -> str:
        there = tensor(f"{x}~{kind}.1", tensors[x], shape)
        back = tensor(f"{x}~{kind}.2", tensors[x], tensors[x].shape)
        ops.append(Op(f"{there}.op", kind, (x,), there, first))
        ops.append(Op(f"{back}.op", kind, (there,), back, second))
        return back

    def source(op: Op, x: str) -> str:
        """Return another name for a tensor, of the same values."""
        n, *middle, last = tensors[x].shape
        if tensors[x].dtype != "int8":
            return x
        x_ = f"{x}~{op.name}"
        if wants("identity"):
            tensor(x_, tensors[x], tensors[x].shape)
            ops.append(Op(f"{x_}.op", OpKind.QUANTIZE, (x,), x_, Attributes()))
            return x_
        if wants("shape"):
            flat = (n, last * (middle[0] if middle else 1), *middle[1:])
            return twice(
                OpKind.RESHAPE, x, Attributes(shape=flat), Attributes(shape=tensors[x].shape), flat
            ) if f"{x}~reshape.1" not in tensors else x  # fmt: skip
        return x

    for op in model.ops:
        x = source(op, op.inputs[0])
        op = replace(op, inputs=(x, *op.inputs[1:]))
        a = op.attributes
        if op.traits.weighted and any(map(any, a.padding)) and wants("pad"):
            n, height, width, channels = tensors[x].shape
            (top, bottom), (left, right) = a.padding
            padded = tensor(
                f"{op.name}.padded", tensors[x], (n, height + top + bottom, width + left + right, channels)
            )
            pads = ((0, 0), (top, bottom), (left, right), (0, 0))
            ops.append(Op(f"{op.name}.pad", OpKind.PAD, (x,), padded, Attributes(pads=pads)))
            op = replace(op, inputs=(padded, *op.inputs[1:]), attributes=replace(a, padding=((0, 0), (0, 0))))
        if a.clamp == (-100, 100) and wants("activation"):
            raw = tensor(f"{op.name}.raw", tensors[op.output], tensors[op.output].shape)
            ops.append(replace(op, output=raw, attributes=replace(op.attributes, clamp=(-128, 100))))
            op = Op(f"{op.name}.relu", OpKind.RELU, (raw,), op.output, Attributes(clamp=(-128, 127)))
        ops.append(op)
    inputs = model.inputs
    if wants("input"):
        name = model.inputs[0]
        inside = f"{name}.int8"
        tensors[inside] = replace(tensors[name], name=inside)
        tensors[name] = Tensor(name, tensors[name].shape, "float32")
        ops = [replace(op, inputs=tuple(inside if n == name else n for n in op.inputs)) for op in ops]
        ops.insert(0, Op("given", OpKind.QUANTIZE, (name,), inside, Attributes()))
    if wants("constant"):
        shift = tensors["shift"]
        tensors["stored"] = _constant("stored", (shift.elements,), shift.quant)
        tensors["shift"] = replace(shift, data=None)
        ops.insert(0, Op("arrange", OpKind.RESHAPE, ("stored",), "shift", Attributes(shape=shift.shape)))
    return validate(replace(model, ops=tuple(ops), tensors=tensors, inputs=inputs))
