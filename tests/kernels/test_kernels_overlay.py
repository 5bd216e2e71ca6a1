"""Selected columns laid over whole weights in compiled code, against numpy's indexing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels_cases import SEEDS

from mcusim.core import BadArgument
from mcusim.graph import Attributes, Op, OpKind, Quant, Tensor
from mcusim.kernels.columns import gather, scatter
from mcusim.kernels.compiled.overlay import Overlay

SHAPES = {
    OpKind.CONV_2D: lambda c_in, n, kh, kw: ((n, kh, kw, c_in), c_in),
    OpKind.DEPTHWISE_CONV_2D: lambda c_in, n, kh, kw: ((1, kh, kw, c_in * n), c_in),
    OpKind.GROUPED_CONV_2D: lambda c_in, n, kh, kw: ((3 * n, kh, kw, c_in), 3 * c_in),
    OpKind.FULLY_CONNECTED: lambda c_in, n, kh, kw: ((n, c_in), c_in),
}


def layer(kind: OpKind, sizes: tuple[int, ...], dtype: str) -> tuple[Op, dict[str, Tensor], int]:
    """Return an op, its input and weight, and the number of its input channels."""
    shape, inputs = SHAPES[kind](*sizes)
    quant = Quant.of(0.1, 0)
    x = Tensor("x", (1, inputs) if kind is OpKind.FULLY_CONNECTED else (1, 2, 2, inputs), "int8", quant)
    w = Tensor("w", shape, dtype, quant, np.zeros(shape, dtype))
    return Op("layer", kind, ("x", "w"), "y", Attributes()), {"x": x, "w": w}, inputs


@given(SEEDS, st.sampled_from(list(SHAPES)), st.tuples(*[st.integers(1, 5)] * 4), st.booleans())
def test_equal_to_indexing(seed, kind, sizes, wide):
    rng = np.random.default_rng(seed)
    op, tensors, inputs = layer(kind, sizes, "float32" if wide else "int8")
    dtype = tensors["w"].dtype
    whole = rng.integers(-128, 128, tensors["w"].shape).astype(dtype)
    count = int(rng.integers(0, inputs + 1))
    channels = np.sort(rng.choice(inputs, count, replace=False)).astype(np.int32)
    block = rng.integers(-128, 128, gather(op, whole, channels, inputs).shape).astype(dtype)
    expected = whole.copy()
    scatter(op, expected, channels, inputs, block)
    Overlay(op, tensors).bind(whole, channels, block)()
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_array_equal(gather(op, whole, channels, inputs), block)


def test_what_does_not_fit_is_refused():
    op, tensors, _ = layer(OpKind.CONV_2D, (4, 3, 1, 1), "int8")
    weight, channels = np.zeros((3, 1, 1, 4), np.int8), np.zeros(2, np.int32)
    block = np.zeros((2, 1, 1, 3), np.int8)
    kernel = Overlay(op, tensors)
    for wrong in (
        (weight.astype(np.int16), channels, block), (weight, channels.astype(np.int64), block),
        (weight, channels, block[:1]), (weight[:2], channels, block),
    ):  # fmt: skip
        with pytest.raises(BadArgument, match="weight of op 'layer'"):
            kernel.bind(*wrong)
