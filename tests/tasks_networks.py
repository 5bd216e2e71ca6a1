"""Tiny int8 networks for every task, drawn from a seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mcusim.graph import Attributes, Model, Op, OpKind, Preprocessing, Quant, Tensor
from mcusim.graph.head import head_name
from mcusim.graph.validate import validate


def network(
    inputs: tuple[int, ...], outputs: int, link: OpKind | None = None, *, hidden: int = 12, seed: int = 0,
    scale: float = 0.05,
) -> Model:  # fmt: skip
    """Return two layers: fully connected for ``inputs`` of one dimension, 1x1 convolutions for pictures."""
    rng = np.random.default_rng(seed)
    kind = OpKind.FULLY_CONNECTED if len(inputs) == 1 else OpKind.CONV_2D
    window = () if len(inputs) == 1 else (1, 1)
    tensors = {"x": Tensor("x", (1, *inputs), "int8", Quant.of(0.02, 0))}
    ops = []
    for name, x, count, zero in (("one", "x", hidden, -128), ("two", "one.y", outputs, 0)):
        width = tensors[x].shape[-1]
        weight = rng.integers(-127, 128, (count, *window, width), dtype=np.int8)
        s_x, s_w = float(tensors[x].quant.scale[0]), 0.01
        tensors[f"{name}.w"] = Tensor(f"{name}.w", weight.shape, "int8", Quant.of(s_w), weight)
        bias = rng.integers(-100, 100, count, dtype=np.int32)
        tensors[f"{name}.b"] = Tensor(f"{name}.b", (count,), "int32", Quant.of(s_x * s_w), bias)
        y = f"{name}.y"
        tensors[y] = Tensor(y, (1, *inputs[:-1], count), "int8", Quant.of(scale, zero))
        ops.append(Op(name, kind, (x, f"{name}.w", f"{name}.b"), y, Attributes()))
    last = "two.y"
    if link is not None:
        tensors["link"] = Tensor("link", tensors[last].shape, "int8", Quant.of(1 / 256, -128))
        ops.append(Op("link", link, (last,), "link", Attributes(axes=(len(inputs),))))
        last = "link"
    real = Preprocessing((0.0,), (1.0,))
    model = validate(Model("tiny", tuple(ops), tensors, ("x",), (last,), preprocessing=real))
    return replace(model, head=head_name(model))


def case(task: str) -> tuple[Model, Any, Any]:
    """Return a network, examples, and targets that can be learned, for a task by name."""
    rng = np.random.default_rng(1)
    flat = rng.normal(size=(60, 6)).clip(-2.5, 2.5).astype(np.float32)
    pictures = rng.normal(size=(30, 4, 5, 3)).clip(-2.5, 2.5).astype(np.float32)
    match task:
        case "classification":
            return network((6,), 3, OpKind.SOFTMAX), flat, flat[:, :3].argmax(axis=1)
        case "binary":
            return network((6,), 1, OpKind.LOGISTIC), flat, (flat[:, 0] > 0).astype(int)
        case "multi-label":
            return network((6,), 3, OpKind.LOGISTIC), flat, (flat[:, :3] > 0).astype(int)
        case "regression":
            return network((6,), 2), flat, np.stack([flat[:, 0] - 1, 2 * flat[:, 1]], axis=1)
        case "reconstruction":
            return network((4, 5, 3), 3), pictures, None
        case "segmentation":
            return network((4, 5, 3), 3), pictures, pictures.argmax(axis=-1)
    raise AssertionError(f"no network for the task {task}: give it one here")
