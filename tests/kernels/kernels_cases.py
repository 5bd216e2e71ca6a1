"""Random ops with their tensors and inputs, small enough for the slow twins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from mcusim.graph import TRAITS, WEIGHTED, Arithmetic, Attributes, Op, OpKind, Quant, Tensor
from mcusim.graph.curves import CurveName
from mcusim.graph.traits import BINARY, FILTERS, PAIRS, UNARY
from mcusim.kernels.number_formats import ERRORS

ARITHMETICS = st.sampled_from(list(Arithmetic))
SEEDS = st.integers(0, 2**32 - 1)
_SCALES = {None: (1.0, 1.0), 32767.0: (2.0**-9, 2.0**-8), 127.0: (2.0**-4, 2.0**-3)}
FORMATS = st.sampled_from([(e.dtype, *_SCALES[e.limit]) for e in ERRORS.values()])
"""Every format of error tensors, with scales of a gradient and of what is computed from it."""


@dataclass(frozen=True)
class Case:
    op: Op
    tensors: dict[str, Tensor]
    inputs: tuple[np.ndarray, ...]
    """Activations only."""

    @property
    def parameters(self) -> tuple[np.ndarray, ...]:
        return tuple(self.tensors[n].data for n in self.op.inputs[1:])

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.tensors[self.op.output].shape

    def output(self) -> np.ndarray:
        y = self.tensors[self.op.output]
        return np.full(y.shape, 77, y.dtype)

    def mask(self) -> np.ndarray:
        return np.full(-(-self.tensors[self.op.output].elements // 8), 0xA5, np.uint8)


def int8(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-128, 128, shape).astype(np.int8)


def quant(rng: np.random.Generator) -> Quant:
    return Quant.of(np.float32(rng.uniform(0.005, 0.2)), int(rng.integers(-128, 128)))


def clamp(rng: np.random.Generator) -> tuple[int, int]:
    return int(rng.integers(-128, 0)), int(rng.integers(1, 128))


def pads(rng: np.random.Generator, kernel: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    return tuple(tuple(int(v) for v in rng.integers(0, k + 1, 2)) for k in kernel)  # type: ignore[return-value]


@st.composite
def weighted(draw, kinds=WEIGHTED) -> Case:
    """Any op with weights, with dead channels, huge biases and weight zero points."""
    kind, seed = draw(st.sampled_from(kinds)), draw(SEEDS)
    rng = np.random.default_rng(seed)
    n, c_in = int(rng.integers(1, 3)), int(draw(st.sampled_from([1, 3, 4, 8, 16, 17, 24, 40, 64])))
    c_out = int(draw(st.sampled_from([1, 2, 8, 15, 16, 33, 48, 50, 72])))
    a = Attributes(clamp=clamp(rng) if draw(st.booleans()) else (-128, 127))
    if kind is OpKind.FULLY_CONNECTED:
        x_shape, w_shape, y_shape = (n, c_in), (c_out, c_in), (n, c_out)
    else:
        pointwise = draw(st.booleans())
        kernel = (1, 1) if pointwise else tuple(int(v) for v in rng.choice([1, 2, 3, 3, 4, 5, 7], 2))
        dilation = (1, 1) if draw(st.booleans()) else tuple(int(v) for v in rng.integers(1, 3, 2))
        stride = (1, 1) if draw(st.booleans()) else tuple(int(v) for v in rng.integers(1, 4, 2))
        padding = ((0, 0), (0, 0)) if draw(st.booleans()) else pads(rng, kernel)
        reach = [(kernel[i] - 1) * dilation[i] + 1 for i in range(2)]
        h, w = (max(int(rng.choice([1, 2, 4, 5, 7, 8, 9, 18])), reach[i] - sum(padding[i])) for i in range(2))
        sizes = [(s + sum(padding[i]) - reach[i]) // stride[i] + 1 for i, s in enumerate((h, w))]
        if kind is OpKind.DEPTHWISE_CONV_2D:
            c_out = c_in * int(rng.integers(1, 4))
        groups = 1
        if kind is OpKind.GROUPED_CONV_2D:
            groups = int(rng.integers(2, 5))
            c_in, c_out = min(c_in, 8) * groups, min(c_out, 16) * groups
        x_shape, y_shape = (n, h, w, c_in), (n, *sizes, c_out)
        w_shape = (1, *kernel, c_out)
        if kind is not OpKind.DEPTHWISE_CONV_2D:
            w_shape = (c_out, *kernel, c_in // groups)
        a = replace(a, stride=stride, dilation=dilation, padding=padding)
        if kind is OpKind.TRANSPOSE_CONV:  # a convolution from what it gives to what it takes
            x_shape, y_shape = (*y_shape[:3], c_in), (*x_shape[:3], c_out)
            a = replace(a, shape=(1, *y_shape[1:]))
    scales = rng.uniform(1e-3, 1e-2, c_out).astype(np.float32)
    bias = rng.integers(-3000, 3000, c_out).astype(np.int32)
    weights = int8(rng, *w_shape)
    if draw(st.booleans()):
        dead = rng.random(c_out) < 0.3
        if draw(st.booleans()):
            np.moveaxis(weights, 3 if kind is OpKind.DEPTHWISE_CONV_2D else 0, 0)[dead] = 0
        scales[dead] = 1e-9
        bias[dead] = rng.choice([-(2**31), 2**31 - 1, 2**31 - 5000, -(2**31) + 77], dead.sum())
    w_quant = Quant(scales, 0, 3 if kind is OpKind.DEPTHWISE_CONV_2D else 0)
    if draw(st.booleans()):
        w_quant = Quant.of(scales[0] + 1e-3, int(rng.integers(-128, 128)) if draw(st.booleans()) else 0)
    raw = draw(st.integers(0, 3)) == 0 and kind not in FILTERS
    tensors = {
        "x": Tensor("x", x_shape, "int8", quant(rng)),
        "w": Tensor("w", w_shape, "int8", w_quant, weights),
        "b": Tensor("b", (c_out,), "int32", None, bias),
        "y": Tensor("y", y_shape, "int32" if raw else "int8", quant(rng)),
    }
    names = ("x", "w", "b") if draw(st.booleans()) else ("x", "w")
    return Case(Op("op", kind, names, "y", a), tensors, (int8(rng, *x_shape),))


@st.composite
def binary(draw) -> Case:
    rng = np.random.default_rng(draw(SEEDS))
    shape = tuple(int(v) for v in (1, *rng.integers(1, 6, 2), rng.integers(1, 40)))
    some = tuple(1 if draw(st.booleans()) else s for s in shape)
    other = draw(st.sampled_from([shape, some, (1, 1, 1, shape[3]), (shape[3],)]))
    a = quant(rng)
    tensors = {
        "a": Tensor("a", shape, "int8", a),
        "b": Tensor("b", other, "int8", a if draw(st.booleans()) else quant(rng)),
        "y": Tensor("y", shape, "int8", quant(rng)),
    }
    kind = draw(st.sampled_from([*BINARY, *PAIRS]))
    if TRAITS[kind].scale == "input":
        tensors = {name: replace(t, quant=tensors["a"].quant) for name, t in tensors.items()}
    op = Op("op", kind, ("a", "b"), "y", Attributes(clamp=clamp(rng)))
    return Case(op, tensors, (int8(rng, *shape), int8(rng, *other)))


@st.composite
def pool(draw) -> Case:
    rng = np.random.default_rng(draw(SEEDS))
    kind = draw(st.sampled_from([OpKind.MEAN, OpKind.AVERAGE_POOL_2D, OpKind.MAX_POOL_2D]))
    kernel = tuple(int(v) for v in rng.integers(1, 4, 2))
    shape = tuple(int(v) for v in (rng.integers(1, 3), *rng.integers(4, 9, 2), rng.integers(1, 40)))
    q = quant(rng)
    if kind is OpKind.MEAN:
        axes = draw(st.sampled_from([(1, 2), (2, 1), (-2, -3), (1,), (3,), (1, 2, 3)]))
        gone = {a % 4 for a in axes}
        out = tuple(1 if i in gone else s for i, s in enumerate(shape))
        a = Attributes(axes=axes, clamp=clamp(rng))
    else:
        stride = tuple(int(v) for v in rng.integers(1, 3, 2))
        padding = tuple(tuple(int(v) for v in rng.integers(0, k, 2)) for k in kernel)
        sizes = [(shape[1 + i] + sum(padding[i]) - kernel[i]) // stride[i] + 1 for i in range(2)]
        out = (shape[0], *sizes, shape[3])
        a = Attributes(
            kernel=kernel, stride=stride, padding=padding, clamp=clamp(rng), unsigned=draw(st.booleans())
        )
    y_quant = quant(rng) if kind is OpKind.MEAN and draw(st.booleans()) else q
    tensors = {"x": Tensor("x", shape, "int8", q), "y": Tensor("y", out, "int8", y_quant)}
    return Case(Op("op", kind, ("x",), "y", a), tensors, (int8(rng, *shape),))


@st.composite
def unary(draw) -> Case:
    rng = np.random.default_rng(draw(SEEDS))
    kind = draw(st.sampled_from([*UNARY, OpKind.QUANTIZE]))
    shape = tuple(int(v) for v in rng.integers(1, 9, 3))
    dtype = draw(st.sampled_from(["int8", "float32"])) if kind is OpKind.QUANTIZE else "int8"
    tensors = {
        "x": Tensor("x", shape, dtype, quant(rng) if dtype == "int8" else None),
        "y": Tensor("y", shape, "int8", quant(rng)),
    }
    x = int8(rng, *shape) if dtype == "int8" else rng.normal(0, 5, shape).astype(np.float32)
    slope = float(rng.uniform(0.1, 2)) if kind in (OpKind.LEAKY_RELU, OpKind.CURVE) else 0.0
    curve = draw(st.sampled_from(CurveName)) if kind is OpKind.CURVE else None
    attributes = Attributes(clamp=clamp(rng), alpha=slope, curve=curve)
    return Case(Op("op", kind, ("x",), "y", attributes), tensors, (x,))


def stored_gradient(rng: np.random.Generator, shape: tuple[int, ...], dtype: str, scale: float) -> np.ndarray:
    g = rng.standard_normal(shape).astype(np.float32)
    if dtype == "float32":
        return g
    top = np.iinfo(dtype).max
    return np.clip(np.rint(g / scale), -top, top).astype(dtype)
