"""Every fast forward kernel against its slow twin, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels_cases import ARITHMETICS, SEEDS, Case, binary, int8, pool, quant, unary, weighted

from mcusim.core import BadArgument, BadModel
from mcusim.graph import Arithmetic, Attributes, Op, OpKind, Quant, Tensor
from mcusim.kernels import reference
from mcusim.kernels.compiled.prepared import Workspace
from mcusim.kernels.forward import forward


def agree(case: Case, arithmetic: Arithmetic, *, with_mask: bool = True) -> None:
    masked = with_mask and case.tensors["y"].dtype == "int8"
    outputs = []
    for make in (forward, reference.forward):
        y, mask = case.output(), case.mask() if masked else None
        make(case.op, case.tensors, arithmetic)(case.inputs, y, mask)
        outputs.append((y, mask))
    np.testing.assert_array_equal(outputs[0][0], outputs[1][0])
    if masked:
        np.testing.assert_array_equal(outputs[0][1], outputs[1][1])


@given(weighted(), ARITHMETICS, st.booleans())
def test_weighted_ops_agree_with_the_slow_twin(case, arithmetic, with_mask):
    agree(case, arithmetic, with_mask=with_mask)


@given(weighted(), ARITHMETICS)
def test_learning_layers_read_their_parameters_at_every_call(case, arithmetic):
    kernel = forward(case.op, case.tensors, arithmetic, frozen=False)
    twin = reference.forward(case.op, case.tensors, arithmetic, frozen=False)
    parameters = tuple(p.copy() for p in case.parameters)
    y, expected = case.output(), case.output()
    for _ in range(2):
        kernel((*case.inputs, *parameters), y)
        twin((*case.inputs, *parameters), expected)
        np.testing.assert_array_equal(y, expected)
        for p in parameters:
            p[...] = p[..., ::-1].copy()


@given(weighted(kinds=(OpKind.DEPTHWISE_CONV_2D,)), ARITHMETICS)
def test_depthwise_may_write_over_its_input(case, arithmetic):
    size = case.tensors["y"].bytes
    if case.tensors["y"].dtype != "int8":
        return
    expected = case.output()
    reference.forward(case.op, case.tensors, arithmetic)(case.inputs, expected)
    memory = np.zeros(max(size, case.inputs[0].size), np.int8)
    x = memory[: case.inputs[0].size].reshape(case.inputs[0].shape)
    x[...] = case.inputs[0]
    if case.inputs[0].shape[0] > 1:
        return  # in place is for a device, which has batch 1
    y = memory[:size].reshape(case.output_shape)
    forward(case.op, case.tensors, arithmetic)((x,), y)
    np.testing.assert_array_equal(y, expected)


@given(binary(), ARITHMETICS)
def test_binary_ops_agree_with_the_slow_twin(case, arithmetic):
    agree(case, arithmetic)


@given(binary(), ARITHMETICS, st.integers(0, 1))
def test_binary_ops_may_write_over_an_input(case, arithmetic, which):
    if case.inputs[0].shape != case.inputs[1].shape:
        return
    expected = case.output()
    reference.forward(case.op, case.tensors, arithmetic)(case.inputs, expected)
    inputs = tuple(i.copy() for i in case.inputs)
    forward(case.op, case.tensors, arithmetic)(inputs, inputs[which])
    np.testing.assert_array_equal(inputs[which], expected)


@given(pool(), ARITHMETICS)
def test_pools_agree_with_the_slow_twin(case, arithmetic):
    agree(case, arithmetic)


@given(unary(), ARITHMETICS)
def test_single_elements_agree_with_the_slow_twin(case, arithmetic):
    agree(case, arithmetic)


@given(SEEDS, st.integers(1, 3), st.integers(1, 70), st.integers(1, 20), st.booleans(), st.booleans())
def test_float_head_agrees_with_the_slow_twin(seed, rows, features, classes, frozen, clamps):
    rng = np.random.default_rng(seed)
    w, b = (rng.standard_normal(s).astype(np.float32) for s in ((classes, features), (classes,)))
    q = quant(rng)
    tensors = {
        "q": Tensor("q", (rows, features), "int8", q), "x": Tensor("x", (rows, features), "float32"),
        "w": Tensor("w", w.shape, "float32", None, w), "b": Tensor("b", b.shape, "float32", None, b),
        "y": Tensor("y", (rows, classes), "float32"),
    }  # fmt: skip
    a = Attributes(clamp=(-1.0, 1.0) if clamps else None)
    ops = (
        (Op("d", OpKind.DEQUANTIZE, ("q",), "x", a), (int8(rng, rows, features),), (rows, features)),
        (
            Op("f", OpKind.FULLY_CONNECTED, ("x", "w", "b"), "y", a),
            (rng.standard_normal((rows, features)).astype(np.float32), *(() if frozen else (w, b))),
            (rows, classes),
        ),
    )
    for op, inputs, shape in ops:
        y, expected = (np.empty(shape, np.float32) for _ in range(2))
        forward(op, tensors, Arithmetic.FLOAT, frozen=frozen)(inputs, y)
        reference.forward(op, tensors, Arithmetic.FLOAT, frozen=frozen)(inputs, expected)
        np.testing.assert_array_equal(y, expected)


def small_op(clamp=(-128, 127)) -> tuple[Op, dict[str, Tensor]]:
    weight = np.arange(-6, 6, dtype=np.int8).reshape(3, 1, 1, 4)
    tensors = {
        "x": Tensor("x", (1, 2, 2, 4), "int8", Quant.of(0.5, 3)),
        "w": Tensor("w", weight.shape, "int8", Quant(np.full(3, 0.25, np.float32), 0, 0), weight),
        "b": Tensor("b", (3,), "int32", None, np.array([1, -2, 3], np.int32)),
        "y": Tensor("y", (1, 2, 2, 3), "int8", Quant.of(2.0, -1)),
    }
    return Op("small", OpKind.CONV_2D, ("x", "w", "b"), "y", Attributes(clamp=clamp)), tensors


def test_a_pointwise_convolution_by_hand():
    op, tensors = small_op()
    x = np.zeros((1, 2, 2, 4), np.int8)
    y = np.empty((1, 2, 2, 3), np.int8)
    forward(op, tensors, Arithmetic.FLOAT)((x,), y)
    # x - z_x = -3; sums of W are -18, -2, 14; s = 0.5 * 0.25 / 2 = 1/16.
    expected = [round(v / 16) - 1 for v in (54 + 1, 6 - 2, -42 + 3)]
    assert y[0, 0, 0].tolist() == expected


def test_accumulators_beyond_32_bits_do_not_wrap_in_the_float_profile():
    op, tensors = small_op()
    tensors["b"] = replace(tensors["b"], data=np.array([2**31 - 1, -(2**31), 0], np.int32))
    y = np.empty((1, 2, 2, 3), np.int8)
    x = np.full((1, 2, 2, 4), -128, np.int8)
    forward(op, tensors, Arithmetic.FLOAT)((x,), y)
    assert y[0, 0, 0, :2].tolist() == [127, -128]


def test_wrong_arrays_are_refused_by_name():
    op, tensors = small_op()
    kernel = forward(op, tensors, Arithmetic.FLOAT)
    x, y = np.zeros((1, 2, 2, 4), np.int8), np.empty((1, 2, 2, 3), np.int8)
    for inputs, output, mask in (
        ((x.astype(np.int16),), y, None),
        ((x[..., :3].copy(),), y, None),
        ((x[:, ::2],), y, None),
        ((x,), y[:, :1].copy(), None),
        ((x,), y, np.zeros(1, np.uint8)),
    ):
        with pytest.raises(BadArgument, match="small"):
            kernel(inputs, output, mask)


def test_a_scale_that_is_no_number_is_refused():
    op, tensors = small_op()
    tensors["y"] = replace(tensors["y"], quant=Quant(np.array([np.nan], np.float32)))
    with pytest.raises(BadModel, match="'y'"):
        forward(op, tensors, Arithmetic.FLOAT)


def test_kernels_forget_buffers_that_are_gone():
    op, tensors = small_op()
    kernel = forward(op, tensors, Arithmetic.FLOAT)
    for _ in range(5):
        x, y = np.zeros((1, 2, 2, 4), np.int8), np.empty((1, 2, 2, 3), np.int8)
        kernel((x,), y)
        del x, y
    assert len(kernel._bound) == 0


def test_kernels_that_share_a_workspace_find_it_after_it_grew():
    op, tensors = small_op()
    shared = Workspace()
    first = forward(op, tensors, Arithmetic.FLOAT, workspace=shared)
    x, y, again = np.zeros((1, 2, 2, 4), np.int8), *(np.empty((1, 2, 2, 3), np.int8) for _ in range(2))
    run = first.bind(y, None, x)
    run()
    shared.reserve(1 << 20)
    first.bind(again, None, x)()
    y.fill(0)
    run()
    np.testing.assert_array_equal(y, again)


def test_batches_equal_single_images():
    rng = np.random.default_rng(0)
    op, tensors = small_op()
    kernel = forward(op, tensors, Arithmetic.TFLITE)
    x = int8(rng, 5, 3, 2, 4)
    y = np.empty((5, 3, 2, 3), np.int8)
    kernel((x,), y)
    for i in range(5):
        one = np.empty((1, 3, 2, 3), np.int8)
        kernel((x[i : i + 1].copy(),), one)
        np.testing.assert_array_equal(one[0], y[i])


def test_constants_that_do_not_fit_are_refused():
    op, tensors = small_op()
    x, y = np.zeros((1, 2, 2, 4), np.int8), np.empty((1, 2, 2, 3), np.int8)
    kernel = forward(op, tensors, Arithmetic.FLOAT, frozen=False)
    weight, bias = tensors["w"].data, tensors["b"].data
    for wrong in (
        (x, weight[:2].copy(), bias),
        (x, weight, bias[:2].copy()),
        (x, weight, bias.astype(float)),
    ):
        with pytest.raises(BadArgument, match="small"):
            kernel(wrong, y)
    with pytest.raises(BadModel, match="float32"):
        forward(op, {**tensors, "w": Tensor("w", (3, 1, 1, 4), "float32")}, Arithmetic.FLOAT)
    with pytest.raises(BadModel, match="int16"):
        forward(op, {**tensors, "y": Tensor("y", (1, 2, 2, 3), "int16", Quant.of(1))}, Arithmetic.FLOAT)
    add = Op("sum", OpKind.ADD, ("x", "x"), "x")
    with pytest.raises(BadArgument, match="sum"):
        forward(add, tensors, Arithmetic.FLOAT)((x, x[:, :, :, :3].copy()), x)
