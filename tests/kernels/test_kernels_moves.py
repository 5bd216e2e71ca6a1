"""Ops that move bytes, and SOFTMAX in fixed point, against numpy and the slow twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels_cases import SEEDS, quant

from mcusim.core import BadArgument
from mcusim.graph import Arithmetic, Attributes, Op, OpKind, Quant, Tensor
from mcusim.kernels import reference
from mcusim.kernels.compiled.move import Move
from mcusim.kernels.compiled.softmax import FixedSoftmax
from mcusim.kernels.executable import TYPES
from mcusim.kernels.forward import forward

KINDS = (OpKind.RESHAPE, OpKind.TRANSPOSE, OpKind.PAD, OpKind.CONCATENATION)


@st.composite
def moves(draw: st.DrawFn) -> tuple[Op, dict[str, Tensor], tuple[np.ndarray, ...]]:
    rng = np.random.default_rng(draw(SEEDS))
    kind = draw(st.sampled_from(KINDS))
    known = [x for x, y in TYPES.of(Op("op", kind, (), "y", Attributes())) if x == y]
    if kind is OpKind.CONCATENATION:
        known.remove("int16")  # has a kernel of its own
    dtype = draw(st.sampled_from(known))
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=2, max_size=5)))
    rank = len(shape)
    shapes, axes, pads = [shape], tuple(int(i) for i in rng.permutation(rank)), ()
    if kind is OpKind.RESHAPE:
        out: tuple[int, ...] = (int(np.prod(shape)),)
    elif kind is OpKind.TRANSPOSE:
        out = tuple(shape[i] for i in axes)
    elif kind is OpKind.PAD:
        pads = ((0, 0), *(tuple(int(v) for v in rng.integers(0, 3, 2)) for _ in shape[1:]))
        out = tuple(s + sum(p) for s, p in zip(shape, pads, strict=True))
    else:
        axis = int(rng.integers(1, rank))
        axes = (axis,)
        shapes = [
            tuple(int(rng.integers(1, 5)) if i == axis else s for i, s in enumerate(shape)) for _ in "abc"
        ]
        out = tuple(sum(s[i] for s in shapes) if i == axis else shape[i] for i in range(rank))
    q = quant(rng)
    tensors = {f"x{i}": Tensor(f"x{i}", s, dtype, q) for i, s in enumerate(shapes)}
    inputs = tuple(rng.integers(0, 100, s).astype(dtype) for s in shapes)
    names = tuple(tensors)
    tensors["y"] = Tensor("y", out, dtype, q)
    return Op("op", kind, names, "y", Attributes(axes=axes, pads=pads)), tensors, inputs


@given(moves())
def test_what_moves_bytes_agrees_with_numpy(case) -> None:
    op, tensors, inputs = case
    y, expected = (np.full(tensors["y"].shape, 77, tensors["y"].dtype) for _ in range(2))
    kernel = forward(op, tensors, Arithmetic.FLOAT)
    assert isinstance(kernel, Move)
    kernel(inputs, y)
    reference.forward(op, tensors, Arithmetic.FLOAT)(inputs, expected)
    np.testing.assert_array_equal(y, expected)


def test_a_reshape_in_place_leaves_what_is_there() -> None:
    tensors = {n: Tensor(n, s, "int8", Quant.of(1.0, 0)) for n, s in (("x", (2, 6)), ("y", (12,)))}
    x = np.arange(12, dtype=np.int8).reshape(2, 6)
    forward(Op("op", OpKind.RESHAPE, ("x",), "y", Attributes()), tensors, Arithmetic.FLOAT)(
        (x,), x.reshape(12)
    )
    assert x.reshape(-1).tolist() == list(range(12))


def test_outputs_of_another_shape_are_refused() -> None:
    tensors = {n: Tensor(n, s, "int8", Quant.of(1.0, 0)) for n, s in (("x", (2, 6)), ("y", (12,)))}
    kernel = forward(Op("op", OpKind.RESHAPE, ("x",), "y", Attributes()), tensors, Arithmetic.FLOAT)
    with pytest.raises(BadArgument, match="op"):
        kernel((np.zeros((2, 6), np.int8),), np.zeros(13, np.int8))


@given(SEEDS, st.integers(1, 4), st.integers(1, 1100), st.floats(1e-3, 3.0), st.booleans())
def test_softmax_in_fixed_point_agrees_with_the_slow_twin(seed, rows, classes, scale, masked) -> None:
    rng = np.random.default_rng(seed)
    tensors = {
        "x": Tensor("x", (rows, classes), "int8", Quant.of(np.float32(scale), 3)),
        "y": Tensor("y", (rows, classes), "int8", Quant.of(1 / 256, -128)),
    }
    op = Op("op", OpKind.SOFTMAX, ("x",), "y", Attributes(beta=float(rng.uniform(0.1, 2))))
    x = rng.integers(-128, 128, (rows, classes)).astype(np.int8)
    results = []
    for make in (forward, reference.forward):
        y, mask = np.zeros((rows, classes), np.int8), np.zeros(-(-rows * classes // 8), np.uint8)
        kernel = make(op, tensors, Arithmetic.TFLITE)
        assert isinstance(kernel, FixedSoftmax) or make is reference.forward
        kernel((x,), y, mask if masked else None)
        results.append((y, mask))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
