"""A streaming network as converters write it: rings of past frames in variables, two frames at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from tflite_file import INT32, FileSpec, OperatorSpec, TensorSpec

RESOURCE = 13
HANDLE, READ, ASSIGN, ONCE = 142, 143, 144, 129
RINGS = ("first", "second")
ZERO = -5


def handle(name: str, output: int) -> OperatorSpec:
    """Return the operator that makes the handle of a variable."""
    return OperatorSpec(HANDLE, (), (output,), {"shared": (1, "text", name)}, union=111)


def begin(values: dict[str, np.ndarray]) -> FileSpec:
    """Return a subgraph that gives variables their first values."""
    tensors, operators = [], []
    for i, (name, data) in enumerate(values.items()):
        tensors.append(TensorSpec(f"{name}_handle", (), RESOURCE, scale=()))
        tensors.append(TensorSpec(f"{name}_0", data.shape, data=data))
        operators += [handle(name, 2 * i), OperatorSpec(ASSIGN, (2 * i, 2 * i + 1), (), union=113)]
    return FileSpec(tensors, operators, (), ())


def streaming(rng: np.random.Generator, *, once: bool = True) -> FileSpec:
    """Return a network of 2 frames of 4 bands: convolution over 4, dense over 5 of its outputs, softmax."""
    tensors: list[TensorSpec] = []

    def add(name: str, shape: tuple[int, ...], **more: Any) -> int:
        tensors.append(TensorSpec(name, shape, **{"zero_point": (ZERO,), **more}))
        return len(tensors) - 1

    def sizes(name: str, values: tuple[int, ...]) -> int:
        return add(name, (len(values),), type=INT32, data=np.array(values, np.int32), scale=(), zero_point=())

    def integers(name: str, shape: tuple[int, ...], bound: int, **more: Any) -> int:
        data = rng.integers(-bound, bound, shape)
        return add(name, shape, data=data.astype(np.int32 if more.get("type") == INT32 else np.int8), **more)

    operators = [OperatorSpec(ONCE, (), (), {"index": (0, "int32", 1)}, union=103)] if once else []
    handles = {}
    for name in RINGS:
        handles[name] = add(f"{name}_handle", (), type=RESOURCE, scale=(), zero_point=())
        operators.append(handle(name, handles[name]))

    def ring(name: str, new: int, length: int) -> int:
        """Put new frames behind those of a ring of so many, and keep the last; return all of them."""
        shape = tensors[new].shape
        kept, all_ = (1, length, *shape[2:]), (1, length + shape[1], *shape[2:])
        state = add(f"{name}_read", kept)
        whole = add(f"{name}_all", all_)
        last = add(f"{name}_last", kept)
        start, end = sizes(f"{name}_from", (0, shape[1], 0, 0)), sizes(f"{name}_to", all_)
        bounds = (start, end, sizes(f"{name}_by", (1, 1, 1, 1)))
        operators.extend([
            OperatorSpec(READ, (handles[name],), (state,), union=112),
            OperatorSpec(2, (state, new), (whole,), {"axis": (0, "int32", 1)}, union=10),
            OperatorSpec(45, (whole, *bounds), (last,), {}, union=32),
            OperatorSpec(ASSIGN, (handles[name], last), (), union=113),
        ])  # fmt: skip
        return whole

    x = add("x", (1, 2, 1, 4))
    weight = integers("w", (3, 3, 1, 4), 90, scale=(0.02, 0.03, 0.04), zero_point=(0, 0, 0))
    bias = integers("b", (3,), 50, type=INT32, scale=(0.002, 0.003, 0.004), zero_point=(0, 0, 0))
    conv = add("conv", (1, 2, 1, 3))
    ones = {name: (number, "int32", 1) for name, number in (("w", 1), ("h", 2), ("across", 4), ("down", 5))}
    sides = {"padding": (0, "int8", 1), **ones, "activation": (3, "int8", 1)}
    operators.append(OperatorSpec(3, (ring("first", x, 2), weight, bias), (conv,), sides))
    tall = ring("second", conv, 3)
    flat = add("flat", (1, 15))
    operators.append(OperatorSpec(22, (tall, sizes("to", (1, 15))), (flat,), union=17))
    dense = integers("dense", (2, 15), 40, scale=(0.005,), zero_point=(0,))
    offset = integers("offset", (2,), 50, type=INT32, scale=(0.0005,), zero_point=(0,))
    scores = add("scores", (1, 2), scale=(0.05,))
    operators.append(OperatorSpec(9, (flat, dense, offset), (scores,), union=8))
    shares = add("shares", (1, 2), scale=(1 / 256,), zero_point=(-128,))
    operators.append(OperatorSpec(25, (scores,), (shares,), {"beta": (0, "float32", 1.0)}, union=9))
    firsts = {
        "first": np.full((1, 2, 1, 4), ZERO, np.int8),
        "second": rng.integers(-128, 128, (1, 3, 1, 3)).astype(np.int8),
    }
    return FileSpec(tensors, operators, (x,), (shares,), others=[begin(firsts)] if once else [])
