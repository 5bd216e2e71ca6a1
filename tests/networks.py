"""A small MobileNet-like int8 network, drawn from a seed: every path of a step in a millisecond."""

from __future__ import annotations

import numpy as np

from mcusim.files.graph_json import graph_from_description
from mcusim.graph import Arithmetic, Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.head import replace_head
from mcusim.graph.validate import validate


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


def dense_network(seed: int = 0) -> Model:
    """Return a stem, a pool, and fully connected layers behind it: in int8, in float32, and a head."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, Tensor] = {"input": Tensor("input", (1, 4, 4, 3), "int8", Quant.of(1 / 64, 0))}
    ops: list[Op] = []

    def add(name: str, kind: OpKind, inputs: tuple[str, ...], output: Tensor, **attributes: object) -> str:
        tensors[output.name] = output
        ops.append(Op(name, kind, inputs, output.name, Attributes(**attributes)))
        return output.name

    def constant(name: str, data: np.ndarray, quant: Quant | None = None) -> str:
        tensors[name] = Tensor(name, data.shape, data.dtype.name, quant, data)
        return name

    def weighted(name: str, kind: OpKind, x: str, shape: tuple[int, ...], output: Tensor) -> str:
        scales = rng.uniform(0.005, 0.02, shape[0]).astype(np.float32)
        in_scale = tensors[x].quant.scale.astype(np.float32)
        weight = constant(f"{name}.w", rng.integers(-127, 128, shape, dtype=np.int8), Quant(scales, 0, 0))
        bias = rng.integers(-900, 900, shape[0], dtype=np.int32)
        return add(
            name, kind, (x, weight, constant(f"{name}.b", bias, Quant(scales * in_scale, 0, 0))), output
        )

    def real(name: str, x: str, outputs: int, **attributes: object) -> str:
        shape = (outputs, tensors[x].shape[-1])
        weight = constant(f"{name}.w", rng.uniform(-0.5, 0.5, shape).astype(np.float32))
        bias = constant(f"{name}.b", rng.uniform(-0.5, 0.5, outputs).astype(np.float32))
        output = Tensor(f"{name}.y", (1, outputs), "float32")
        return add(name, OpKind.FULLY_CONNECTED, (x, weight, bias), output, **attributes)

    y = Tensor("stem.y", (1, 4, 4, 18), "int8", Quant.of(0.05, -4))
    x = weighted("stem", OpKind.CONV_2D, "input", (18, 1, 1, 3), y)
    x = add("pool", OpKind.MEAN, (x,), Tensor("pool.y", (1, 18), "int8", Quant.of(0.05, -4)), axes=(1, 2))
    x = weighted(
        "middle", OpKind.FULLY_CONNECTED, x, (21, 18), Tensor("middle.y", (1, 21), "int8", Quant.of(0.1, 3))
    )
    x = add("real", OpKind.DEQUANTIZE, (x,), Tensor("real.y", (1, 21), "float32"), clamp=None)
    x = real("late", x, 19, clamp=(0.0, 6.0))
    logits = real("head", x, 4, clamp=None)
    return validate(Model("dense", tuple(ops), tensors, ("input",), (logits,), Arithmetic.FLOAT, head="head"))


def deep_network(convolutions: int, seed: int = 0) -> Model:
    """Return so many pointwise convolutions one behind another, and a head."""
    rng = np.random.default_rng(seed)
    shape, quant = (1, 2, 2, 4), Quant.of(0.05, -4)
    tensors: dict[str, Tensor] = {"input": Tensor("input", shape, "int8", quant)}
    ops: list[Op] = []

    def constant(name: str, data: np.ndarray, quant: Quant | None = None) -> str:
        tensors[name] = Tensor(name, data.shape, data.dtype.name, quant, data)
        return name

    def add(name: str, kind: OpKind, inputs: tuple[str, ...], output: Tensor, **attributes: object) -> str:
        tensors[name] = output
        ops.append(Op(name, kind, inputs, name, Attributes(**attributes)))
        return name

    x = "input"
    for number in range(convolutions):
        name = f"c{number}"
        scales = rng.uniform(0.003, 0.006, 4).astype(np.float32)
        weight = constant(
            f"{name}.w", rng.integers(-127, 128, (4, 1, 1, 4), dtype=np.int8), Quant(scales, 0, 0)
        )
        bias = rng.integers(-900, 900, 4, dtype=np.int32)
        bias = constant(f"{name}.b", bias, Quant(scales * np.float32(0.05), 0, 0))
        x = add(name, OpKind.CONV_2D, (x, weight, bias), Tensor(name, shape, "int8", quant))
    x = add("real", OpKind.DEQUANTIZE, (x,), Tensor("real", shape, "float32"), clamp=None)
    x = add("flat", OpKind.RESHAPE, (x,), Tensor("flat", (1, 16), "float32"), shape=(1, 16), clamp=None)
    weight = constant("head.w", rng.uniform(-0.2, 0.2, (3, 16)).astype(np.float32))
    bias = constant("head.b", np.zeros(3, np.float32))
    add("head", OpKind.FULLY_CONNECTED, (x, weight, bias), Tensor("head", (1, 3), "float32"), clamp=None)
    return validate(Model("deep", tuple(ops), tensors, ("input",), ("head",), Arithmetic.FLOAT, head="head"))


def rows_network(arithmetic: Arithmetic = Arithmetic.TFLITE) -> Model:
    """Return fully connected layers over three rows: in int8, in float32, and a head over what they give."""
    rng = np.random.default_rng(2)
    tensors: dict[str, Tensor] = {"x": Tensor("x", (1, 3, 10), "int8", Quant.of(0.03, -5))}
    ops: list[Op] = []

    def add(kind: OpKind, inputs: tuple[str, ...], output: Tensor, **attributes: object) -> None:
        tensors[output.name] = output
        ops.append(Op(f"{output.name}_op", kind, inputs, output.name, Attributes(**attributes)))

    def constant(name: str, data: np.ndarray, quant: Quant | None = None) -> str:
        tensors[name] = Tensor(name, data.shape, data.dtype.name, quant, data)
        return name

    def dense(x: str, output: Tensor, **attributes: object) -> None:
        shape = (output.shape[-1], tensors[x].shape[-1])
        scales = rng.uniform(0.005, 0.02, shape[0]).astype(np.float32)
        if output.dtype == "int8":
            w = constant(
                f"{output.name}.w", rng.integers(-100, 101, shape, dtype=np.int8), Quant(scales, 0, 0)
            )
            b = constant(f"{output.name}.b", rng.integers(-900, 900, shape[0], dtype=np.int32))
        else:
            w = constant(f"{output.name}.w", rng.uniform(-0.4, 0.4, shape).astype(np.float32))
            b = constant(f"{output.name}.b", rng.uniform(-0.4, 0.4, shape[0]).astype(np.float32))
        add(OpKind.FULLY_CONNECTED, (x, w, b), output, **attributes)

    dense("x", Tensor("one", (1, 3, 9), "int8", Quant.of(0.05, -3)))
    dense("one", Tensor("two", (1, 3, 7), "int8", Quant.of(0.06, -100)), clamp=(-100, 90))
    add(OpKind.DEQUANTIZE, ("two",), Tensor("real", (1, 3, 7), "float32"), clamp=None)
    dense("real", Tensor("three", (1, 3, 6), "float32"), clamp=(0.0, 6.0))
    flat = Tensor("flat", (1, 18), "float32")
    add(OpKind.RESHAPE, ("three",), flat, shape=flat.shape, clamp=None)
    dense("flat", Tensor("logits", (1, 4), "float32"), clamp=None)
    model = Model(
        f"rows_{arithmetic}", tuple(ops), tensors, ("x",), ("logits",), arithmetic, head="logits_op"
    )
    return validate(model)
