"""Networks with one or two inputs and several outputs, examples of them and labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcusim.graph import Attributes, Model, Op, OpKind, Preprocessing, Quant, Tensor
from mcusim.graph.head import head_name
from mcusim.graph.validate import validate

RNG = np.random.default_rng(5)
A = RNG.normal(size=(60, 6)).clip(-2.5, 2.5).astype(np.float32)
B = RNG.normal(size=(60, 4)).clip(-2.5, 2.5).astype(np.float32)


def network(*, inputs: int = 1, heads: tuple[int, ...] = (3, 2), softmax: bool = False) -> Model:
    """Return a layer after the inputs side by side, and a head of so many outputs for each of ``heads``."""
    rng = np.random.default_rng(2)
    tensors = {"a": Tensor("a", (1, 6), "int8", Quant.of(0.02, 0))}
    ops: list[Op] = []

    def dense(name: str, x: str, count: int) -> str:
        width, scale = tensors[x].shape[-1], float(tensors[x].quant.scale[0])
        weight = rng.integers(-127, 128, (count, width), dtype=np.int8)
        tensors[f"{name}.w"] = Tensor(f"{name}.w", weight.shape, "int8", Quant.of(0.01), weight)
        bias = rng.integers(-100, 100, count, dtype=np.int32)
        tensors[f"{name}.b"] = Tensor(f"{name}.b", (count,), "int32", Quant.of(scale * 0.01), bias)
        tensors[name] = Tensor(name, (1, count), "int8", Quant.of(0.05, 0))
        ops.append(Op(name, OpKind.FULLY_CONNECTED, (x, f"{name}.w", f"{name}.b"), name, Attributes()))
        return name

    x, names = "a", ("a", "b")[:inputs]
    if inputs == 2:
        tensors["b"] = Tensor("b", (1, 4), "int8", Quant.of(0.02, 0))
        tensors["both"] = Tensor("both", (1, 10), "int8", Quant.of(0.02, 0))
        ops.append(Op("both", OpKind.CONCATENATION, names, "both", Attributes(axes=(1,))))
        x = "both"
    x = dense("trunk", x, 8)
    outputs = []
    for number, count in enumerate(heads):
        last = dense(f"head{number}", x, count)
        if softmax:
            tensors[f"p{number}"] = Tensor(f"p{number}", (1, count), "int8", Quant.of(1 / 256, -128))
            ops.append(Op(f"p{number}", OpKind.SOFTMAX, (last,), f"p{number}", Attributes(axes=(1,))))
            last = f"p{number}"
        outputs.append(last)
    real = Preprocessing((0.0,), (1.0,))
    model = validate(Model("several", tuple(ops), tensors, names, tuple(outputs), preprocessing=real))
    return replace(model, head=head_name(model))


def labels(model: Model) -> dict[str, np.ndarray]:
    """Return classes for each output, that can be learned."""
    return {n: A[:, : model.tensors[n].shape[1]].argmax(axis=1) for n in model.outputs}
