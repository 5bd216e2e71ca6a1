"""Every fast backward kernel against its slow twin, bit for bit, in all error formats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels_cases import FORMATS, SEEDS, binary, int8, pool, stored_gradient, unary, weighted

from mcusim.core import BadArgument, BadModel
from mcusim.graph import Arithmetic, Attributes, Op, OpKind, Quant, Tensor
from mcusim.kernels import backward, reference
from mcusim.kernels.arrays import StoreResult
from mcusim.kernels.columns import groups
from mcusim.kernels.compiled.grad_input import GradInput

FLOAT = Arithmetic.FLOAT


def agree(case, formats, seed, inputs, *, index=0, masked=True, accumulate=False) -> StoreResult:
    """Compare one input gradient with the twin's; return what was stored."""
    dtype, g_scale, x_scale = formats
    rng = np.random.default_rng(seed)
    g = stored_gradient(rng, case.output_shape, dtype, g_scale)
    mask = rng.integers(0, 256, -(-g.size // 8)).astype(np.uint8) if masked else None
    x_shape = case.tensors[case.op.inputs[index]].shape
    old = rng.integers(-20, 20, x_shape).astype(dtype)
    results = []
    for module in (backward, reference):
        g_x = old.copy()
        kernel = module.grad_input(case.op, case.tensors, FLOAT, index)
        stored = kernel(g, g_scale, mask, inputs, g_x, x_scale, accumulate)
        results.append((g_x, stored))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]
    return results[0][1]


@given(weighted(), FORMATS, SEEDS, st.booleans(), st.booleans())
def test_input_gradients_of_weighted_ops(case, formats, seed, masked, accumulate):
    weight = case.tensors["w"].data
    agree(case, formats, seed, (weight,), masked=masked, accumulate=accumulate)


@given(weighted(), SEEDS)
def test_weights_that_changed_are_converted_again(case, seed):
    rng, weight = np.random.default_rng(seed), case.tensors["w"].data.copy()
    kernels = [m.grad_input(case.op, case.tensors, FLOAT) for m in (backward, reference)]
    g = stored_gradient(rng, case.output_shape, "float32", 1.0)
    for share in (0, 0.01, 0.2, 1, 0.01):
        changed = rng.random(weight.shape) < share
        weight[changed] = int8(rng, changed.sum())
        found = [np.zeros(case.tensors["x"].shape, np.float32) for _ in kernels]
        for kernel, g_x in zip(kernels, found, strict=True):
            kernel(g, 1.0, None, (weight,), g_x, 1.0, False)
        np.testing.assert_array_equal(*found)


@given(weighted(), FORMATS, SEEDS, st.booleans())
def test_parameter_gradients_of_weighted_ops(case, formats, seed, masked):
    dtype, scale, _ = formats
    rng = np.random.default_rng(seed)
    g = stored_gradient(rng, case.output_shape, dtype, scale)
    mask = rng.integers(0, 256, -(-g.size // 8)).astype(np.uint8) if masked else None
    c_in, weight = case.tensors["x"].shape[-1], case.tensors["w"].shape
    depthwise = case.op.kind is OpKind.DEPTHWISE_CONV_2D
    c_out = weight[3] if depthwise else weight[0]
    count = c_in if rng.random() < 0.5 else rng.integers(1, c_in + 1)
    channels = np.sort(rng.choice(c_in, count, replace=False)).astype(np.int32)
    x = np.ascontiguousarray(case.inputs[0][..., channels])
    shape = (len(channels), *weight[1:-1], c_out // groups(case.op, case.tensors))
    blocks = [np.full(shape, np.nan, np.float32) for _ in range(2)]
    biases = [np.full(c_out, np.nan, np.float32) for _ in range(2)]
    for module, block, bias in zip((backward, reference), blocks, biases, strict=True):
        module.grad_weight(case.op, case.tensors, FLOAT)(g, scale, mask, x, channels, block)
        module.grad_bias(case.op, case.tensors, FLOAT)(g, scale, mask, bias)
    np.testing.assert_array_equal(*blocks)
    np.testing.assert_array_equal(*biases)


@given(weighted(), FORMATS, SEEDS, st.booleans())
def test_biases_are_summed_in_the_pass_of_the_input_gradient(case, formats, seed, masked):
    """To the bits of a pass of their own, by every kernel that loads every pixel."""
    dtype, scale, x_scale = formats
    rng = np.random.default_rng(seed)
    g = stored_gradient(rng, case.output_shape, dtype, scale)
    mask = rng.integers(0, 256, -(-g.size // 8)).astype(np.uint8) if masked else None
    weight, c_out = case.tensors["w"].data, case.output_shape[-1]
    kernel = backward.grad_input(case.op, case.tensors, FLOAT)
    if not isinstance(kernel, GradInput):
        return
    found, alone = (np.zeros(case.tensors["x"].shape, dtype) for _ in range(2))
    biases = [np.full(c_out, np.nan, np.float32) for _ in range(2)]
    assert kernel.loads_all(g, mask, found, weight)
    for _ in range(2):  # sums begin anew
        stored = kernel.bind(g, mask, found, weight, biases[0])(scale, x_scale, 0)
    assert StoreResult(*stored) == kernel(g, scale, mask, (weight,), alone, x_scale, False)
    reference.grad_bias(case.op, case.tensors, FLOAT)(g, scale, mask, biases[1])
    np.testing.assert_array_equal(found, alone)
    assert biases[0].tobytes() == biases[1].tobytes()


@pytest.mark.parametrize("kind", [OpKind.CONV_2D, OpKind.DEPTHWISE_CONV_2D])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_biases_are_summed_where_the_input_gradient_grows_over_the_error(kind, dtype):
    rng, shape, lead = np.random.default_rng(0), (1, 7, 5, 16), 3 * 5 * 16
    weight = int8(rng, 1, 3, 3, 16) if kind is OpKind.DEPTHWISE_CONV_2D else int8(rng, 16, 3, 3, 16)
    tensors = {
        "x": Tensor("x", shape, "int8", Quant.of(0.1)),
        "w": Tensor("w", weight.shape, "int8", Quant.of(0.02), weight),
        "y": Tensor("y", shape, "int8", Quant.of(0.2)),
    }
    op = Op("op", kind, ("x", "w"), "y", Attributes(padding=((1, 1), (1, 1))))
    kernel, size = backward.grad_input(op, tensors, FLOAT), int(np.prod(shape))
    g = stored_gradient(rng, shape, dtype, 0.1)
    memory = np.zeros(lead + size, dtype)
    over, out, apart = memory[lead:].reshape(shape), memory[:size].reshape(shape), np.zeros(shape, dtype)
    over[...] = g
    bias, expected = np.empty(16, np.float32), np.empty(16, np.float32)
    kernel.bind(g, None, apart, weight)(0.1, 4.0, 0)
    assert kernel.loads_all(over, None, out, weight)
    kernel.bind(over, None, out, weight, bias)(0.1, 4.0, 0)
    backward.grad_bias(op, tensors, FLOAT)(g, 0.1, None, expected)
    np.testing.assert_array_equal(out, apart)
    np.testing.assert_array_equal(bias, expected)


@given(weighted((OpKind.CONV_2D, OpKind.DEPTHWISE_CONV_2D)), FORMATS, SEEDS, st.booleans(), st.booleans())
def test_weight_gradients_of_some_pixels(case, formats, seed, masked, every):
    dtype, scale, _ = formats
    rng = np.random.default_rng(seed)
    g = stored_gradient(rng, case.output_shape, dtype, scale)
    mask = rng.integers(0, 256, -(-g.size // 8)).astype(np.uint8) if masked else None
    (n, height, width, c_in), weight = case.tensors["x"].shape, case.tensors["w"].shape
    depthwise = case.op.kind is OpKind.DEPTHWISE_CONV_2D
    channels = np.sort(rng.choice(c_in, rng.integers(1, c_in + 1), replace=False)).astype(np.int32)
    pixels = height * width
    kept = np.arange(pixels, dtype=np.int32)
    if not every:
        kept = np.sort(rng.choice(kept, rng.integers(1, pixels + 1), replace=False))
    whole = np.ascontiguousarray(case.inputs[0][..., channels])
    x = np.ascontiguousarray(whole.reshape(n, pixels, -1)[:, kept])
    shape = (len(channels), *weight[1:-1], weight[3] // c_in if depthwise else weight[0])
    blocks = [np.full(shape, np.nan, np.float32) for _ in range(3)]
    for module, block in zip((backward, reference), blocks, strict=False):
        module.grad_weight(case.op, case.tensors, FLOAT)(g, scale, mask, x, channels, block, kept)
    np.testing.assert_array_equal(blocks[0], blocks[1])
    # Pixels that were not saved count as if they were at the zero point.
    emptied = np.full((n, pixels, len(channels)), case.tensors["x"].quant.zero_point, np.int8)
    emptied[:, kept] = x
    emptied = emptied.reshape(whole.shape)
    reference.grad_weight(case.op, case.tensors, FLOAT)(g, scale, mask, emptied, channels, blocks[2])
    np.testing.assert_array_equal(blocks[0], blocks[2] * np.float32(pixels / len(kept)))


@given(binary(), FORMATS, SEEDS, st.integers(0, 1), st.booleans())
def test_input_gradients_of_binary_ops(case, formats, seed, index, accumulate):
    agree(case, formats, seed, case.inputs, index=index, accumulate=accumulate)


@given(pool(), FORMATS, SEEDS, st.booleans())
def test_input_gradients_of_pools(case, formats, seed, accumulate):
    agree(case, formats, seed, (case.inputs[0], case.output()), accumulate=accumulate)


@given(unary(), FORMATS, SEEDS)
def test_input_gradients_of_single_elements(case, formats, seed):
    x = int8(np.random.default_rng(seed), *case.output_shape)
    agree(case, formats, seed, (x,))


@given(SEEDS, st.integers(1, 70), st.integers(1, 20))
def test_gradients_of_the_float_head(seed, features, classes):
    rng = np.random.default_rng(seed)
    tensors = {
        "x": Tensor("x", (1, features), "float32"),
        "w": Tensor("w", (classes, features), "float32"),
        "y": Tensor("y", (1, classes), "float32"),
    }
    op = Op("head", OpKind.FULLY_CONNECTED, ("x", "w"), "y", Attributes(clamp=None))
    g, w, x = (
        rng.standard_normal(s).astype(np.float32) for s in ((1, classes), (classes, features), (1, features))
    )
    channels = np.arange(features, dtype=np.int32)
    for module in (backward, reference):
        g_x, block = np.empty((1, features), np.float32), np.empty((features, classes), np.float32)
        module.grad_input(op, tensors, FLOAT)(g, 1.0, None, (w,), g_x, 1.0, False)
        module.grad_weight(op, tensors, FLOAT)(g, 1.0, None, x, channels, block)
        np.testing.assert_allclose(g_x, g @ w, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(block, x.T * g)


def test_gradients_may_be_written_over_the_gradient_they_come_from():
    rng = np.random.default_rng(0)
    tensors = {
        "x": Tensor("x", (1, 4, 5, 8), "int8", Quant.of(0.1)),
        "w": Tensor("w", (8, 1, 1, 8), "int8", Quant.of(0.02), int8(rng, 8, 1, 1, 8)),
        "y": Tensor("y", (1, 4, 5, 8), "int8", Quant.of(0.2)),
    }
    ops = (
        (Op("conv", OpKind.CONV_2D, ("x", "w"), "y"), (tensors["w"].data,)),
        (Op("add", OpKind.ADD, ("x", "x"), "y"), ()),
    )
    for op, inputs in ops:
        g = rng.standard_normal((1, 4, 5, 8)).astype(np.float32)
        expected = np.empty_like(g)
        kernel = backward.grad_input(op, tensors, FLOAT)
        kernel(g, 1.0, None, inputs, expected, 1.0, False)
        kernel(g, 1.0, None, inputs, g, 1.0, False)
        np.testing.assert_array_equal(g, expected)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("beyond", [0.0, 0.25, 0.5, 1.0, 1e30])
def test_errors_are_stored_alike_up_to_the_edge_and_beyond(dtype, accumulate, beyond):
    """Ties and all wholes; rows in which nothing saturates, and those in which one element does."""
    top, channels = np.iinfo(dtype).max, 64
    weight = np.eye(channels, dtype=np.int8).reshape(channels, 1, 1, channels)
    one = Quant.of(1.0)
    tensors = {
        "x": Tensor("x", (1, 2, 5, channels), "int8", one),
        "w": Tensor("w", weight.shape, "int8", one, weight),
        "y": Tensor("y", (1, 2, 5, channels), "int8", one),
    }
    rng = np.random.default_rng(0)
    g = (rng.integers(-4 * top, 4 * top, (1, 2, 5, channels)) / 4).astype(np.float32)
    g[0, 0, 0, :4] = 0.5, -0.5, top, -top
    g[0, 1, 2, 17] = top + beyond
    old, found = rng.integers(-9, 9, g.shape).astype(dtype), []
    for module in (backward, reference):
        g_x = old.copy()
        kernel = module.grad_input(Op("op", OpKind.CONV_2D, ("x", "w"), "y"), tensors, FLOAT)
        stored = kernel(g, 1.0, None, (weight,), g_x, 1.0, accumulate)
        found.append((g_x, stored))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
    assert accumulate or (found[0][1].saturated == 0) == (beyond < 0.5)


def test_saturation_is_counted_and_the_peak_is_in_real_units():
    tensors = {"x": Tensor("x", (1, 4), "int8", Quant.of(1)), "y": Tensor("y", (1, 4), "int8", Quant.of(1))}
    kernel = backward.grad_input(Op("r", OpKind.RESHAPE, ("x",), "y"), tensors, FLOAT)
    g = np.array([[0.5, -1.25, 200.0, -63.49]], np.float32)
    g_x = np.empty((1, 4), np.int8)
    assert kernel(g, 1.0, None, (), g_x, 0.5, False) == StoreResult(1, 200.0)
    assert g_x.tolist() == [[1, -2, 127, -127]]


def test_channels_that_do_not_exist_are_refused():
    rng = np.random.default_rng(0)
    tensors = {
        "x": Tensor("x", (1, 3, 3, 4), "int8", Quant.of(0.1)),
        "w": Tensor("w", (1, 3, 3, 4), "int8", Quant.of(0.02), int8(rng, 1, 3, 3, 4)),
        "y": Tensor("y", (1, 1, 1, 4), "int8", Quant.of(0.2)),
    }
    kernel = backward.grad_weight(Op("dw", OpKind.DEPTHWISE_CONV_2D, ("x", "w"), "y"), tensors, FLOAT)
    g, x, out = np.ones((1, 1, 1, 4), np.float32), int8(rng, 1, 3, 3, 1), np.empty((1, 3, 3, 1), np.float32)
    for wrong in (-1, 4):
        with pytest.raises(BadArgument, match="dw"):
            kernel(g, 1.0, None, x, np.array([wrong], np.int32), out)


@pytest.mark.parametrize("window", [1, 3])
def test_pixels_that_do_not_exist_are_refused(window):
    rng = np.random.default_rng(0)
    tensors = {
        "x": Tensor("x", (1, 3, 3, 4), "int8", Quant.of(0.1)),
        "w": Tensor("w", (2, window, window, 4), "int8", Quant.of(0.02), int8(rng, 2, window, window, 4)),
        "y": Tensor("y", (1, 4 - window, 4 - window, 2), "int8", Quant.of(0.2)),
    }
    kernel = backward.grad_weight(Op("conv", OpKind.CONV_2D, ("x", "w"), "y"), tensors, FLOAT)
    g, out = np.ones(tensors["y"].shape, np.float32), np.empty((1, window, window, 2), np.float32)
    channel, x = np.zeros(1, np.int32), int8(rng, 1, 2, 1)
    for wrong in ([-1, 0], [0, 9]):
        with pytest.raises(BadArgument, match="pixels of op 'conv'"):
            kernel(g, 1.0, None, x, channel, out, np.array(wrong, np.int32))
    for wrong in (np.zeros(0, np.int32), np.zeros((1, 2), np.int32), np.zeros(1, np.int32)):
        with pytest.raises(BadArgument, match="conv"):
            kernel(g, 1.0, None, x, channel, out, wrong)


def test_an_op_without_a_gradient_says_so():
    tensors = {"x": Tensor("x", (1, 4), "int8", Quant.of(1)), "y": Tensor("y", (1,), "int32")}
    with pytest.raises(BadModel, match="no gradient"):
        backward.grad_input(Op("top", OpKind.ARG_MAX, ("x",), "y", Attributes(axes=(1,))), tensors, FLOAT)
