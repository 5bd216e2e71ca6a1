"""Which 32-bit accumulators can overflow: the bound is what the worst input reaches, and it is said."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from networks import small_network

import mcusim
from mcusim.core import BadModel
from mcusim.files.npz import save
from mcusim.graph import Arithmetic, Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.kernels.overflow import LIMIT, overflow_message, overflows


def one_layer(weights, bias, zero=0, clamp=(-128, 127), factor=0.5) -> Model:
    """A clamp and a fully connected layer of two inputs."""
    weights = np.array(weights, np.int8)
    one = Quant(np.ones(1, np.float32), 0)
    tensors = [
        Tensor("x", (1, 2), "int8", replace(one, zero_point=zero)),
        Tensor("c", (1, 2), "int8", replace(one, zero_point=zero)),
        Tensor("w", weights.shape, "int8", one, weights),
        Tensor("b", (len(weights),), "int32", one, np.array(bias, np.int32)),
        Tensor("y", (1, len(weights)), "int8", Quant(np.full(1, 1 / factor, np.float32), 0)),
    ]
    ops = (
        Op("clamp", OpKind.RELU, ("x",), "c", Attributes(clamp=clamp)),
        Op("layer", OpKind.FULLY_CONNECTED, ("c", "w", "b"), "y", Attributes()),
    )
    return Model(
        name="one", ops=ops, tensors={t.name: t for t in tensors}, inputs=("x",), outputs=("y",),
        arithmetic=Arithmetic.TFLITE, head="layer", source="",
    )  # fmt: skip


@pytest.mark.parametrize("zero", [-128, 0, 127])
@pytest.mark.parametrize("clamp", [(-128, 127), (-5, 7)])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_bound_is_what_the_worst_input_reaches(zero, clamp, sign):
    rng = np.random.default_rng(zero + 200 + sign)
    inputs = [(*pair,) for pair in product((clamp[0], clamp[1], zero), repeat=2)]
    for _ in range(20):
        weights = rng.integers(-128, 128, (3, 2))
        bias = sign * (LIMIT - rng.integers(0, 40_000, 3))
        model = one_layer(weights, bias, zero, clamp)
        sums = np.array([weights @ (np.array(x) - zero) + bias for x in inputs])
        far = np.maximum(sums.max(0), -sums.min(0) - 1)
        found = overflows(model)
        assert bool(found) == (far.max() > LIMIT)
        if found:
            assert (found[0].op, found[0].channel, found[0].reached) == (
                "layer",
                int(far.argmax()),
                far.max(),
            )


def test_an_accumulator_that_is_shifted_left_has_less_room():
    bias = [LIMIT // 2]
    assert overflows(one_layer([[1, 1]], bias, factor=0.5)) == []
    (found,) = overflows(one_layer([[1, 1]], bias, factor=4.0))
    assert found.limit == LIMIT >> 3
    assert found.times == pytest.approx(4, rel=1e-3)


def with_bias(value: int, arithmetic: Arithmetic) -> Model:
    model = small_network()
    op = next(op for op in model.ops if op.bias)
    tensor = model.tensors[op.bias]
    data = tensor.data.copy()
    data[1] = value
    return replace(model.with_tensors({op.bias: replace(tensor, data=data)}), arithmetic=arithmetic)


@pytest.mark.parametrize(
    ("arithmetic", "does"),
    [
        ("tflite", "a device wraps there, and so does this simulation"),
        (
            "float",
            "a library that wraps there gives other outputs; .* in mcusim's firmware, adds beyond 32 bits",
        ),
    ],
)
def test_a_network_that_can_overflow_is_said_when_it_is_loaded_and_refused_where_asked(
    tmp_path, arithmetic, does
):
    path = tmp_path / "net.npz"
    save(with_bias(LIMIT, Arithmetic(arithmetic)), path)
    with pytest.warns(UserWarning, match=rf"net\.npz can overflow .*channel 1.*{does}"):
        model = mcusim.load(path)
    with pytest.raises(BadModel, match=r"net\.npz: can overflow .* \(quantise it"):
        mcusim.load(path, strict=True)
    assert re.search(does, overflow_message(model, overflows(model)))


def test_a_network_that_cannot_is_not_spoken_of(tmp_path):
    path = tmp_path / "net.npz"
    save(small_network(), path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert overflows(mcusim.load(path, strict=True)) == []
