"""Tables run kernels in order, between calls of Python, and go aside where a kernel says so."""

from __future__ import annotations

import numpy as np
import pytest

from mcusim.core import BadArgument
from mcusim.graph import Arithmetic, Attributes, Op, OpKind, Quant, Tensor
from mcusim.kernels.compiled.driver import CallTable
from mcusim.kernels.compiled.gather import Take
from mcusim.kernels.compiled.prepared import address_of
from mcusim.kernels.compiled.rows import RULE, Rows, row, rule_row
from mcusim.kernels.forward import forward
from mcusim.kernels.update import weight_rule


def copy(x: np.ndarray, y: np.ndarray):
    tensors = {n: Tensor(n, x.shape, "int8", Quant.of(1.0, 0)) for n in "xy"}
    kernel = forward(Op("op", OpKind.RESHAPE, ("x",), "y", Attributes()), tensors, Arithmetic.FLOAT)
    return kernel.call((x,), y)


def test_kernels_and_python_take_turns_in_order() -> None:
    a, b, c = (np.arange(8, dtype=np.int8) * k for k in (1, 0, 0))

    def double() -> None:
        b[...] *= 2

    table = CallTable([copy(a, b), double, copy(b, c), double])
    for _ in range(2):
        table()
        assert b.tolist() == [4 * k for k in range(8)]
        assert c.tolist() == [2 * k for k in range(8)]


def rule(channels: np.ndarray, weight: np.ndarray, learns: np.ndarray, otherwise):
    tensors = {
        "x": Tensor("x", (1, 1, 1, 4), "int8", Quant.of(1.0, 0)),
        "w": Tensor("w", weight.shape, "int8", Quant.of(1.0, 0), weight),
        "y": Tensor("y", (1, 1, 1, 3), "int8", Quant.of(1.0, 0)),
    }
    made = weight_rule(Op("op", OpKind.CONV_2D, ("x", "w"), "y", Attributes()), tensors, "int8")
    run = made.bind(weight, None, channels, np.ones((len(channels), 1, 1, 3), np.float32), None, None)
    rate, iteration = np.full(1, 2.0), np.zeros(1, np.int64)
    numbers = (address_of(rate), address_of(iteration), address_of(learns), 0)
    return row(rule_row, RULE, run, numbers, otherwise, (3.0, 0.0), keep=(rate, iteration))


@pytest.mark.parametrize("last", [True, False])
def test_a_row_that_cannot_run_does_what_it_says_instead(last: bool) -> None:
    channels, learns = np.array([1, 3], np.int32), np.ones(1, np.int64)
    weight = np.zeros((3, 1, 1, 4), np.int8)
    x, y = np.ones(4, np.int8), np.zeros(4, np.int8)

    def refuse() -> None:
        raise BadArgument("channels", "are not all there")

    calls = [Rows(rule(channels, weight, learns, refuse))]
    table = CallTable(calls if last else [*calls, copy(x, y)])
    table()
    # rate 2 of the step times rate 3 of the layer times a gradient of 1
    assert weight.reshape(3, 4).tolist() == [[0, -6, 0, -6]] * 3
    channels[1] = 4
    y[...] = 0
    with pytest.raises(BadArgument, match="channels"):
        table()
    assert not y.any()
    learns[0] = 0
    table()
    assert y.any() == (not last)
    assert weight.reshape(3, 4).tolist() == [[0, -6, 0, -6]] * 3


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_channels_are_taken_of_every_pixel(dtype: str) -> None:
    x = np.random.default_rng(0).integers(-99, 99, (1, 3, 2, 7)).astype(dtype)
    channels, saved = np.array([0, 3, 6], np.int32), np.zeros((1, 3, 2, 3), dtype)
    run = Take("op").bind(x, channels, saved)
    run()
    np.testing.assert_array_equal(saved, x[..., channels])
    with pytest.raises(BadArgument, match="op"):
        Take("op").bind(x, channels, saved[..., :2].copy())
