"""Small networks of every shape the update schemes must cope with, built from graph vocabulary only."""

from __future__ import annotations

import numpy as np

from mcusim.graph import Attributes, Model, Op, OpKind, Quant, Tensor


class Builder:
    def __init__(self, size: int, channels: int, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.ops: list[Op] = []
        self.tensors: dict[str, Tensor] = {}
        self.add_tensor("input", (1, size, size, channels) if size else (1, channels))
        self.last = "input"

    def add_tensor(self, name: str, shape: tuple[int, ...], data: np.ndarray | None = None) -> str:
        dtype = "int8" if data is None else str(data.dtype)
        self.tensors[name] = Tensor(name, shape, dtype, Quant.of(0.1), data)
        return name

    def constant(self, name: str, shape: tuple[int, ...], dtype: str = "int8") -> str:
        return self.add_tensor(name, shape, self.rng.integers(-127, 128, shape).astype(dtype))

    def op(self, name: str, kind: OpKind, inputs: tuple[str, ...], shape: tuple[int, ...]) -> str:
        self.ops.append(Op(name, kind, inputs, self.add_tensor(f"{name}:0", shape), Attributes()))
        self.last = f"{name}:0"
        return self.last

    def conv(self, name: str, out: int, kernel: int = 1, stride: int = 1, x: str | None = None) -> str:
        x = x or self.last
        _, h, w, c = self.tensors[x].shape
        weight = self.constant(f"{name}.w", (out, kernel, kernel, c))
        bias = self.constant(f"{name}.b", (out,), "int32")
        shape = (1, -(-h // stride), -(-w // stride), out)
        return self.op(name, OpKind.CONV_2D, (x, weight, bias), shape)

    def depthwise(self, name: str, stride: int = 1, multiplier: int = 1) -> str:
        _, h, w, c = self.tensors[self.last].shape
        weight = self.constant(f"{name}.w", (1, 3, 3, c * multiplier))
        bias = self.constant(f"{name}.b", (c * multiplier,), "int32")
        shape = (1, -(-h // stride), -(-w // stride), c * multiplier)
        return self.op(name, OpKind.DEPTHWISE_CONV_2D, (self.last, weight, bias), shape)

    def dense(self, name: str, out: int, bias: bool = True) -> str:
        weight = self.constant(f"{name}.w", (out, self.tensors[self.last].shape[-1]))
        extra = (self.constant(f"{name}.b", (out,), "int32"),) if bias else ()
        return self.op(name, OpKind.FULLY_CONNECTED, (self.last, weight, *extra), (1, out))

    def add(self, name: str, a: str, b: str) -> str:
        return self.op(name, OpKind.ADD, (a, b), self.tensors[a].shape)

    def pool(self) -> str:
        return self.op("pool", OpKind.MEAN, (self.last,), (1, self.tensors[self.last].shape[-1]))

    def model(self, name: str, head: str | None) -> Model:
        return Model(name, tuple(self.ops), self.tensors, ("input",), (self.last,), head=head)


def mobilenet(blocks: int = 4, seed: int = 0, pad: bool = False) -> Model:
    """Inverted residuals; the first block has no expansion, every other block has a residual."""
    b = Builder(16, 3, seed)
    b.conv("stem", 8, 3, 2)
    for i in range(blocks):
        start = b.last
        if i:
            b.conv(f"b{i}.expand", 24)
        if pad:
            b.op(f"b{i}.pad", OpKind.PAD, (b.last,), b.tensors[b.last].shape)
        b.depthwise(f"b{i}.depthwise")
        b.conv(f"b{i}.project", 8)
        if i % 2:
            b.add(f"b{i}.add", start, b.last)
    b.pool()
    b.dense("head", 10)
    return b.model("mobilenet", "head")


def separable() -> Model:
    """A DS-CNN or MobileNetV1: depthwise and pointwise in turns, the pointwise ones may expand."""
    b = Builder(16, 3)
    b.conv("stem", 8, 3, 2)
    for i in range(3):
        b.depthwise(f"b{i}.depthwise")
        b.conv(f"b{i}.pointwise", 8 << i)
    b.pool()
    b.dense("head", 10)
    return b.model("separable", "head")


def resnet() -> Model:
    """Two residual blocks, the second with a convolution in its shortcut."""
    b = Builder(16, 3)
    start = b.conv("stem", 8, 3)
    b.conv("r0.a", 8, 3)
    b.add("r0.add", start, b.conv("r0.b", 8, 3))
    start = b.last
    b.conv("r1.a", 16, 3, 2)
    main = b.conv("r1.b", 16, 3)
    b.add("r1.add", main, b.conv("r1.shortcut", 16, 1, 2, x=start))
    b.pool()
    b.dense("head", 10)
    return b.model("resnet", "head")


def autoencoder(head: bool = True) -> Model:
    """Fully connected layers only; some without a bias."""
    b = Builder(0, 20)
    for i, size in enumerate((16, 4, 16)):
        b.dense(f"fc{i}", size, bias=i != 1)
    b.dense("out", 20)
    return b.model("autoencoder", "out" if head else None)


def squeeze_excite() -> Model:
    """One inverted residual with a squeeze-and-excitation branch, as 1x1 convolutions on a pooled tensor."""
    b = Builder(16, 3)
    b.conv("stem", 8, 3, 2)
    b.conv("expand", 24)
    wide = b.depthwise("depthwise")
    b.op("squeeze", OpKind.MEAN, (wide,), (1, 1, 1, 24))
    b.conv("reduce", 4)
    gate = b.conv("restore", 24)
    b.op("scale", OpKind.MUL, (wide, gate), b.tensors[wide].shape)
    b.conv("project", 8)
    b.pool()
    b.dense("head", 10)
    return b.model("squeeze_excite", "head")


ALL = (mobilenet, separable, resnet, autoencoder, squeeze_excite)
