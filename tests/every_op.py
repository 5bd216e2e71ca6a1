"""A network in which every op that can learn, or pass gradient on, occurs; drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcusim.graph import TRAITS, Arithmetic, Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.curves import CurveName
from mcusim.graph.shapes import infer
from mcusim.graph.validate import validate
from mcusim.kernels.reference import GRADIENTS

K = OpKind
SIDE = 16
LEFT_OUT = GRADIENTS.absent
"""Kinds that no gradient passes, with the reason."""


def every_op_network(seed: int = 0, *, arithmetic: Arithmetic = Arithmetic.TFLITE) -> Model:
    """Return an int8 network with a float32 head; gradients of the first layer pass every other op."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, Tensor] = {"input": Tensor("input", (1, SIDE, SIDE, 3), "int8", Quant.of(1 / 32, 3))}
    ops: list[Op] = []

    def add(
        name: str, kind: OpKind, *inputs: str, scale: float | None = 0.05, zero: int = -2,
        dtype: str = "int8", **attributes: object,
    ) -> str:  # fmt: skip
        fixed = TRAITS[kind].scale
        quant = tensors[inputs[0]].quant if scale is None else Quant.of(scale, zero)
        quant = fixed if isinstance(fixed, Quant) else quant
        op = Op(name, kind, inputs, f"{name}.y", Attributes(**attributes))
        tensors[op.output] = Tensor(op.output, (), dtype, quant if dtype == "int8" else None)
        shape = infer(op, tensors)
        tensors[op.output] = Tensor(op.output, shape, dtype, tensors[op.output].quant)
        ops.append(op)
        return op.output

    def weighted(
        name: str, kind: OpKind, x: str, shape: tuple[int, ...], /, *, scale: float = 0.05, **more: object
    ) -> str:
        depthwise = kind is K.DEPTHWISE_CONV_2D
        channels = shape[3] if depthwise else shape[0]
        scales = rng.uniform(0.004, 0.008, channels).astype(np.float32)
        weight = rng.integers(-90, 91, shape, dtype=np.int8)
        bias = rng.integers(-300, 300, channels, dtype=np.int32)
        s_x = np.float32(tensors[x].quant.scale[0])
        w, b = f"{name}.w", f"{name}.b"
        tensors[w] = Tensor(w, shape, "int8", Quant(scales, 0, 3 if depthwise else 0), weight)
        tensors[b] = Tensor(b, (channels,), "int32", Quant(scales * s_x, 0, 0), bias)
        return add(name, kind, x, w, b, scale=scale, **more)

    def constant(name: str, shape: tuple[int, ...], quant: Quant, low: int = -128) -> str:
        tensors[name] = Tensor(name, shape, "int8", quant, rng.integers(low, 128, shape, dtype=np.int8))
        return name

    padded = add("pad", K.PAD, "input", scale=None, pads=((0, 0), (1, 1), (1, 1), (0, 0)))
    x = weighted("stem", K.CONV_2D, padded, (8, 3, 3, 3), stride=(2, 2))
    x = add("relu", K.RELU, x, scale=0.04, zero=-100, clamp=(-100, 127))
    x = weighted("depthwise", K.DEPTHWISE_CONV_2D, x, (1, 3, 3, 8), padding=((1, 1), (1, 1)))
    x = add("hard_swish", K.HARD_SWISH, x, scale=0.03, zero=-90)
    # A squeeze-and-excitation branch: its gate is broadcast over the image.
    pooled = add("mean", K.MEAN, x, axes=(1, 2), scale=0.02, zero=-60)
    gate = weighted("squeeze", K.FULLY_CONNECTED, pooled, (8, 8), scale=0.03)
    gate = add("gate", K.LOGISTIC, gate)
    gate = add("spread", K.RESHAPE, gate, scale=None, shape=(1, 1, 1, 8))
    x = add("scaled", K.MUL, x, gate, scale=0.02, zero=-90)
    largest = add("max_pool", K.MAX_POOL_2D, x, scale=None, kernel=(2, 2), stride=(2, 2))
    average = add("average_pool", K.AVERAGE_POOL_2D, x, scale=None, kernel=(2, 2), stride=(2, 2))
    difference = add("sub", K.SUB, largest, average, scale=0.01, zero=-40)
    bent = add("tanh", K.TANH, difference)
    leaky = add("leaky_relu", K.LEAKY_RELU, largest, scale=0.02, zero=-60, alpha=0.1)
    total = add("add", K.ADD, leaky, bent, scale=0.02, zero=-60)
    up = add("nearest", K.RESIZE_NEAREST_NEIGHBOR, total, scale=None, shape=(1, 8, 8, 8))
    smooth = add("bilinear", K.RESIZE_BILINEAR, average, scale=None, shape=(1, 8, 8, 8))
    x = add("both", K.CONCATENATION, up, smooth, axes=(3,), scale=0.02, zero=-60)
    x = filters(weighted, x)
    x = add("relu6", K.RELU6, x, scale=0.03, zero=-70, clamp=(-70, 127))
    x = add("turned", K.TRANSPOSE, x, scale=None, axes=(0, 2, 1, 3))
    x = moved(add, x)
    x = weighted("project", K.CONV_2D, x, (6, 1, 1, 16), stride=(2, 2))
    x = add("attention", K.SOFTMAX, x, axes=(3,))
    x = add("mixed", K.ADD, x, matrices(add, x), scale=0.01, zero=-100)
    x = add("joined", K.ADD, x, curves(add, constant, x), scale=0.04, zero=-128)
    x = add("requantised", K.QUANTIZE, x, scale=0.03, zero=-120)
    x = add("flat", K.RESHAPE, x, scale=None, shape=(1, 96))
    x = add("real", K.DEQUANTIZE, x, scale=1, dtype="float32", clamp=None)
    bound = 1 / np.sqrt(96)
    for name, shape in (("head.w", (4, 96)), ("head.b", (4,))):
        values = rng.uniform(-bound, bound, shape).astype(np.float32)
        tensors[name] = Tensor(name, shape, "float32", None, values)
    logits = add("head", K.FULLY_CONNECTED, x, "head.w", "head.b", scale=1, dtype="float32", clamp=None)
    return validate(Model("every", tuple(ops), tensors, ("input",), (logits,), arithmetic, head="head"))


def moved(add: Callable[..., str], x: str) -> str:
    """Return what is (1, 8, 8, 16) with its elements moved about, in the same shape."""
    x = add("blocks", K.SPACE_TO_DEPTH, x, scale=None, block=2)
    x = add("shuffled", K.GATHER, x, scale=None, axes=(3,), indices=tuple(range(0, 64, 2)))
    x = add("twice", K.TILE, x, scale=None, repeats=(1, 1, 1, 2))
    x = add("spread_out", K.DEPTH_TO_SPACE, x, scale=None, block=2)
    x = add("mirrored", K.MIRROR_PAD, x, scale=None, pads=((0, 0), (1, 2), (0, 1), (0, 0)))
    x = add("flipped", K.REVERSE, x, scale=None, axes=(1, 2))
    cut = {"axes": (1, 2), "begin": (1, 8), "step": (1, -1), "shape": (8, 8)}
    return add("cut", K.STRIDED_SLICE, x, scale=None, **cut)


def filters(weighted: Callable[..., str], x: str) -> str:
    """Return (1, 8, 8, 16) through convolutions in groups and transposed ones, in the same shape."""
    grouped = {"stride": (2, 2), "padding": ((1, 0), (0, 1))}
    x = weighted("grouped", K.GROUPED_CONV_2D, x, (16, 3, 3, 4), scale=0.1, **grouped)
    wide = {"stride": (2, 2), "padding": ((1, 0), (0, 1)), "shape": (1, 8, 8, 16)}
    return weighted("wide", K.TRANSPOSE_CONV, x, (16, 3, 3, 16), scale=0.2, **wide)


def matrices(add: Callable[..., str], x: str) -> str:
    """Return what is (1, 4, 4, 6) as products of its rows with themselves, and reduced in every way."""
    x = add("rows", K.RESHAPE, x, scale=None, shape=(1, 16, 6))
    likeness = add("likeness", K.BATCH_MATMUL, x, x, scale=0.02, zero=-100, adjoint=(False, True))
    x = add("product", K.BATCH_MATMUL, likeness, x, scale=0.03, zero=-100)
    x = add("logs", K.LOG_SOFTMAX, x, axes=(2,))
    x = add("unit_length", K.L2_NORMALIZATION, x, axes=(2,))
    x = add("image", K.RESHAPE, x, scale=None, shape=(1, 4, 4, 6))
    largest = add("largest", K.REDUCE_MAX, x, scale=None, axes=(1,))
    smallest = add("smallest", K.REDUCE_MIN, x, scale=None, axes=(2,))
    x = add("spans", K.SUB, largest, smallest, scale=0.02)
    x = add("total", K.SUM, x, axes=(1,), scale=0.05)
    return add("one_row", K.RESHAPE, x, scale=None, shape=(1, 1, 1, 6))


def curves(add: Callable[..., str], constant: Callable[..., str], x: str) -> str:
    """Return what is left of shares in [0, 1) behind every function of one or two elements."""
    some = Quant.of(0.01, -100)
    x = add("log", K.LOG, x, scale=0.05, zero=100)
    x = add("elu", K.ELU, x, scale=0.02, zero=-60)
    x = add("gelu", K.GELU, x, scale=0.02, zero=-60)
    x = add("clipped", K.RELU_N1_TO_1, x, scale=0.01, zero=0, clamp=(-100, 100))
    x = add("prelu", K.PRELU, x, constant("slopes", (6,), some), scale=0.02, zero=-60)
    x = add("squares", K.SQUARED_DIFFERENCE, x, constant("means", (6,), some), scale=0.03, zero=-128)
    x = add("root", K.SQRT, x, scale=0.02, zero=-128)
    x = add("unit", K.RELU_0_TO_1, x, scale=0.02, zero=-128, clamp=(-128, -78))
    x = add("exp", K.EXP, x, scale=0.02, zero=-128)
    x = add("divided", K.DIV, x, constant("divisors", (6,), Quant.of(0.02, -128), -60), scale=0.02, zero=-128)
    x = add("inverse", K.RSQRT, x, scale=0.05, zero=-128)
    x = add("least", K.MINIMUM, x, constant("upper", (6,), Quant.of(0.05, -128)), scale=None)
    x = add("most", K.MAXIMUM, x, constant("lower", (6,), Quant.of(0.05, -128)), scale=None)
    x = add("magnitude", K.ABS, x, scale=0.05, zero=-60)
    return add("mish", K.CURVE, x, scale=0.05, zero=-60, curve=CurveName.MISH)
