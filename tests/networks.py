"""A small MobileNet-like int8 network, drawn from a seed: every path of a step in a millisecond."""

from __future__ import annotations

import numpy as np

from mcusim.files.graph_json import graph_from_description
from mcusim.graph import Arithmetic, Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.head import replace_head


def small_network(
    seed: int = 0,
    *,
    side: int = 16,
    channels: int = 3,
    classes: int | None = 4,
    head: str = "float32",
    arithmetic: Arithmetic = Arithmetic.FLOAT,
) -> Model:
    """Return stem, two inverted-residual blocks (one strided, one with a residual add), pool and head."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, Tensor] = {}
    ops: list[Op] = []

    def activation(name: str, shape: tuple[int, ...], scale: float, zero: int) -> str:
        tensors[name] = Tensor(name, shape, "int8", Quant.of(scale, zero))
        return name

    def conv(name: str, x: str, outputs: int, kernel: int, stride: int, depthwise: bool, relu: bool) -> str:
        _, height, width, inputs = tensors[x].shape
        shape = (1, kernel, kernel, inputs) if depthwise else (outputs, kernel, kernel, inputs)
        scales = rng.uniform(0.002, 0.01, outputs).astype(np.float32)
        weight = rng.integers(-127, 128, shape, dtype=np.int8)
        tensors[f"{name}.w"] = Tensor(
            f"{name}.w", shape, "int8", Quant(scales, 0, 3 if depthwise else 0), weight
        )
        bias = rng.integers(-2000, 2000, outputs, dtype=np.int32)
        s_x = float(tensors[x].quant.scale[0])
        tensors[f"{name}.b"] = Tensor(
            f"{name}.b", (outputs,), "int32", Quant(scales * np.float32(s_x), 0, 0), bias
        )
        pad = kernel // 2
        fan = kernel * kernel * (1 if depthwise else inputs)
        spread = float(np.sqrt(fan)) * 70 * float(scales.mean()) * s_x * 60 / 100
        y = activation(
            f"{name}.y", (1, -(-height // stride), -(-width // stride), outputs), spread, -128 if relu else 3
        )
        attributes = Attributes(stride=(stride, stride), padding=((pad, pad), (pad, pad)))
        kind = OpKind.DEPTHWISE_CONV_2D if depthwise else OpKind.CONV_2D
        ops.append(Op(name, kind, (x, f"{name}.w", f"{name}.b"), y, attributes))
        return y

    x = activation("input", (1, side, side, channels), 1 / 64, 0)
    x = conv("stem", x, 8, 3, 2, False, True)
    y = conv("a.expand", x, 24, 1, 1, False, True)
    y = conv("a.depthwise", y, 24, 3, 2, True, True)
    x = conv("a.project", y, 16, 1, 1, False, False)
    y = conv("b.expand", x, 32, 1, 1, False, True)
    y = conv("b.depthwise", y, 32, 3, 1, True, True)
    y = conv("b.project", y, 16, 1, 1, False, False)
    z = activation("b.add.y", tensors[x].shape, 0.05, -2)
    ops.append(Op("b.add", OpKind.ADD, (x, y), z))
    pooled = activation("pool.y", (1, 1, 1, 16), 0.05, -2)
    ops.append(Op("pool", OpKind.MEAN, (z,), pooled, Attributes(axes=(1, 2))))
    logits = conv("classifier", pooled, 6, 1, 1, False, False)
    model = Model("small", tuple(ops), tensors, ("input",), (logits,), arithmetic, head="classifier")
    return model if classes is None else replace_head(model, classes, format=head, seed=seed)


def float_network(seed: int = 0) -> Model:
    """Stem, a strided block, a residual block, pool and head, in float32."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {}
    layers: list[dict[str, object]] = []
    channels = {"input": 3}

    def conv(name, x, out, kernel=1, stride=1, depthwise=False, activation="none", size=8):
        inner = 1 if depthwise else channels[x]
        arrays[f"{name}.w"] = rng.normal(size=(out, inner, kernel, kernel)).astype(np.float32)
        arrays[f"{name}.b"] = rng.normal(size=out).astype(np.float32)
        pad = kernel // 2
        layers.append(
            {
                "id": name, "op": "conv2d", "inputs": [x], "activation": activation, "out_channels": out,
                "out_hw": (size, size), "stride": (stride, stride), "padding": (pad, pad),
                "depthwise": depthwise, "groups": out if depthwise else 1, "weight": f"{name}.w",
                "bias": f"{name}.b",
            }
        )  # fmt: skip
        channels[name] = out
        return name

    x = conv("stem", "input", 16, 3, 2, activation="relu6")
    y = conv("a.expand", x, 48, activation="relu6")
    y = conv("a.depthwise", y, 48, 3, 2, depthwise=True, activation="relu6", size=4)
    x = conv("a.project", y, 24, size=4)
    y = conv("b.expand", x, 72, activation="relu6", size=4)
    y = conv("b.depthwise", y, 72, 3, depthwise=True, activation="relu6", size=4)
    y = conv("b.project", y, 24, size=4)
    layers.append({"id": "b.add", "op": "add", "inputs": [x, y], "out_channels": 24, "out_hw": (4, 4)})
    layers.append({"id": "pool", "op": "global_avg_pool", "inputs": ["b.add"], "out_channels": 24})
    arrays["head.w"] = rng.normal(size=(5, 24)).astype(np.float32)
    arrays["head.b"] = rng.normal(size=5).astype(np.float32)
    layers.append(
        {"id": "head", "op": "linear", "inputs": ["pool"], "out_channels": 5, "weight": "head.w",
         "bias": "head.b"}
    )  # fmt: skip
    described = {
        "format": "float-graph-v1", "name": "small", "input": {"id": "input", "shape": (1, 3, 16, 16)},
        "head": {"layer": "head"}, "layers": layers,
    }  # fmt: skip
    return graph_from_description(described, arrays, "small")
