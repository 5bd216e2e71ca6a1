"""A convolution, a pool behind it and a head: what can be computed row by row."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from mcusim.graph import Arithmetic, Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.shapes import infer
from mcusim.graph.validate import validate


def pooled_network(
    *,
    seed: int = 0,
    image: tuple[int, int, int] = (16, 16, 3),
    window: tuple[int, int] = (3, 3),
    outputs: int = 8,
    convolution: dict[str, Any] | None = None,
    depthwise: bool = False,
    kernel: tuple[int, int] = (3, 3),
    pool: dict[str, Any] | None = None,
    average: bool = False,
    arithmetic: Arithmetic = Arithmetic.TFLITE,
) -> Model:
    """Return the network; ``convolution`` and ``pool`` are attributes of these ops.

    Raises:
        BadModel: if the windows do not fit the image.
    """
    rng = np.random.default_rng(seed)
    tensors = {"x": Tensor("x", (1, *image), "int8", Quant.of(0.04, 3))}
    outputs = image[2] if depthwise else outputs
    shape = (1, *window, outputs) if depthwise else (outputs, *window, image[2])

    def weighted(name: str, shape: tuple[int, ...], channels: int, along: int) -> tuple[str, str]:
        quant = Quant(rng.uniform(0.004, 0.01, channels).astype(np.float32), 0, along)
        weight = rng.integers(-100, 101, shape, dtype=np.int8)
        tensors[f"{name}.w"] = Tensor(f"{name}.w", shape, "int8", quant, weight)
        bias = rng.integers(-500, 500, channels, dtype=np.int32)
        tensors[f"{name}.b"] = Tensor(f"{name}.b", (channels,), "int32", None, bias)
        return f"{name}.w", f"{name}.b"

    def give(op: Op, quant: Quant) -> Op:
        tensors[op.output] = Tensor(op.output, (), "int8", quant)
        tensors[op.output] = Tensor(op.output, infer(op, tensors), "int8", quant)
        return op

    kind = OpKind.DEPTHWISE_CONV_2D if depthwise else OpKind.CONV_2D
    parameters = weighted("conv", shape, outputs, 3 if depthwise else 0)
    between = Quant.of(0.06, -20)
    ops = [give(Op("conv", kind, ("x", *parameters), "c", Attributes(**convolution or {})), between)]
    kind = OpKind.AVERAGE_POOL_2D if average else OpKind.MAX_POOL_2D
    attributes = Attributes(kernel=kernel, **pool or {"stride": (2, 2)})
    ops.append(give(Op("pool", kind, ("c",), "y", attributes), between))
    flat = (1, prod(tensors["y"].shape))
    ops.append(give(Op("flatten", OpKind.RESHAPE, ("y",), "flat", Attributes(shape=flat)), between))
    parameters = weighted("head", (3, flat[1]), 3, 0)
    ops.append(
        give(
            Op("head", OpKind.FULLY_CONNECTED, ("flat", *parameters), "logits", Attributes()),
            Quant.of(0.1, 0),
        )
    )
    return validate(Model("pooled", tuple(ops), tensors, ("x",), ("logits",), arithmetic, head="head"))
