"""Scratch bytes by hand, for every kind of op that has some."""

from __future__ import annotations

import pytest

from mcusim.graph import Attributes, Op, OpKind, Tensor
from mcusim.kernels.scratch import scratch_bytes

TENSORS = {
    "x": Tensor("x", (1, 10, 12, 16)),
    "k": Tensor("k", (24, 3, 5, 16)),
    "p": Tensor("p", (24, 1, 1, 16)),
    "d": Tensor("d", (1, 3, 3, 32)),
    "f": Tensor("f", (1, 16)),
    "w": Tensor("w", (7, 16)),
    "y": Tensor("y", (1, 7)),
}
PADDED = Attributes(padding=((1, 1), (0, 2)))
CONV = Op("conv", OpKind.CONV_2D, ("x", "k"), "y", PADDED)
POINT = Op("point", OpKind.CONV_2D, ("x", "p"), "y")
DEPTH = Op("depth", OpKind.DEPTHWISE_CONV_2D, ("x", "d"), "y", PADDED)
FULL = Op("full", OpKind.FULLY_CONNECTED, ("f", "w"), "y")
SOFTMAX = Op("softmax", OpKind.SOFTMAX, ("f",), "f")


@pytest.mark.parametrize(
    ("op", "what", "options", "expected"),
    [
        (CONV, "forward", {}, 2 * 3 * 5 * 16 * 2),
        (POINT, "forward", {}, 0),
        (DEPTH, "forward", {}, 0),
        (DEPTH, "forward", {"in_place": True}, 12 * 14),
        (FULL, "forward", {}, 0),
        (SOFTMAX, "forward", {}, 64),
        (SOFTMAX, "grad_input", {}, 0),
        (POINT, "grad_input", {}, 24 * 4),
        (CONV, "grad_input", {}, 0),
        (DEPTH, "grad_input", {}, 0),
        (FULL, "grad_input", {}, 0),
    ],
)
def test_scratch_bytes(op, what, options, expected):
    assert scratch_bytes(op, TENSORS, what, **options) == expected
