"""A small int8 network of the kinds that every file format has."""

from __future__ import annotations

import numpy as np

from mcusim.graph import Attributes, Model, OpKind, Quant
from mcusim.graph.build import GraphBuilder
from mcusim.graph.validate import validate


def synthetic() -> Model:
    """Return a convolution, a depthwise convolution, a mean, a classifier and a softmax."""
    rng = np.random.default_rng(0)
    build = GraphBuilder()
    x = build.activation("x", (1, 8, 8, 3), Quant.of(0.02, -1))

    def weighted(
        name: str, kind: OpKind, x: str, shape: tuple[int, ...], axis: int, y: tuple[int, ...]
    ) -> str:
        count = shape[axis]
        scale = rng.uniform(0.001, 0.01, count).astype(np.float32)
        w = build.constant(f"{name}.w", rng.integers(-127, 128, shape).astype(np.int8), Quant(scale, 0, axis))
        b = build.constant(
            f"{name}.b",
            rng.integers(-999, 999, count).astype(np.int32),
            Quant(scale * np.float32(0.02), 0, 0),
        )
        output = build.activation(name, y, Quant.of(0.05, 4))
        build.op(name, kind, (x, w, b), output, Attributes(clamp=(4, 124)))
        return output

    x = weighted("conv", OpKind.CONV_2D, x, (4, 3, 3, 3), 0, (1, 6, 6, 4))
    x = weighted("dw", OpKind.DEPTHWISE_CONV_2D, x, (1, 3, 3, 4), 3, (1, 4, 4, 4))
    mean = build.activation("mean", (1, 4), Quant.of(0.05, 4))
    build.op("mean", OpKind.MEAN, (x,), mean, Attributes(axes=(1, 2)))
    x = weighted("fc", OpKind.FULLY_CONNECTED, mean, (5, 4), 0, (1, 5))
    softmax = build.activation("softmax", (1, 5), Quant.of(1 / 256, -128))
    build.op("softmax", OpKind.SOFTMAX, (x,), softmax, Attributes(axes=(1,)))
    return validate(
        Model("synthetic", tuple(build.ops), build.tensors, ("x",), (softmax,), labels=tuple("abcde"))
    )
