"""Float ops on integers: exact, so that they can be held against the slow integer kernels bit for bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mcusim.compress.quantize import float_ops
from mcusim.graph import Attributes, Op, OpKind
from mcusim.kernels.reference.forward import accumulate

sizes = st.integers(1, 3)


@given(
    st.booleans(), st.tuples(sizes, sizes), st.tuples(sizes, sizes), st.tuples(sizes, sizes),
    st.tuples(*[st.integers(0, 2)] * 4), st.integers(0, 1000),
)  # fmt: skip
def test_convolutions(
    depthwise: bool, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int],
    padding: tuple[int, ...], seed: int,
) -> None:  # fmt: skip
    g = np.random.default_rng(seed)
    x = g.integers(-128, 128, (2, 7, 8, 3))
    kind = OpKind.DEPTHWISE_CONV_2D if depthwise else OpKind.CONV_2D
    shape = (1, *kernel, 6) if depthwise else (5, *kernel, 3)
    weight = g.integers(-127, 128, shape)
    op = Op(
        "c", kind, ("x", "w"), "y",
        Attributes(
            stride=stride, dilation=dilation, padding=((padding[0], padding[1]), (padding[2], padding[3]))
        ),
    )  # fmt: skip
    want = accumulate(op, x, weight)
    got = float_ops.FORWARD[kind](op, [x.astype(np.float32), weight.astype(np.float32)])
    np.testing.assert_array_equal(got, want)
