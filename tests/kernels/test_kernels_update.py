"""Updates and losses against their slow twins and against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels_cases import SEEDS, int8

from mcusim.core import BadArgument, UnknownName
from mcusim.graph import WEIGHTED, Op, OpKind, Quant, Tensor
from mcusim.kernels import loss, qas, reference, update
from mcusim.kernels.columns import gather
from mcusim.kernels.number_formats import BIASES, WEIGHTS

WEIGHT_NAMES = st.sampled_from(list(WEIGHTS))
KINDS = st.sampled_from(WEIGHTED)


def layer(kind: OpKind, rng: np.random.Generator) -> tuple[Op, dict[str, Tensor]]:
    c_in, c_out = (int(rng.integers(1, rng.choice([12, 40]))) for _ in range(2))
    shape: tuple[int, ...] = (c_out, 3, 2, c_in)
    if kind is OpKind.FULLY_CONNECTED:
        shape = (c_out, c_in)
    if kind is OpKind.DEPTHWISE_CONV_2D:
        c_out = int(rng.integers(1, 3)) * c_in
        shape = (1, 6, 3, c_out)
    if kind is OpKind.GROUPED_CONV_2D:
        shape = (3 * c_out, 3, 2, c_in)
        c_in, c_out = 3 * c_in, 3 * c_out
    scales = rng.uniform(0.5, 2, c_out).astype(np.float32)
    scales[rng.random(c_out) < 0.2] = 1e-9
    tensors = {
        "x": Tensor("x", (1, 5, 5, c_in), "int8", Quant.of(0.5)),
        "w": Tensor("w", shape, "int8", Quant(scales, 0, len(shape) - 1 if shape[0] == 1 else 0)),
        "b": Tensor("b", (c_out,), "int32"),
        "y": Tensor("y", (1, 5, 5, c_out), "int8", Quant.of(0.5)),
    }
    return Op("layer", kind, ("x", "w", "b"), "y"), tensors


def block_shape(op: Op, tensors: dict[str, Tensor], count: int) -> tuple[int, ...]:
    shape = tensors["w"].shape
    met = {
        OpKind.DEPTHWISE_CONV_2D: shape[-1] // tensors["x"].shape[-1],
        OpKind.GROUPED_CONV_2D: shape[0] // 3,
    }
    return (count, *shape[1:-1], met.get(op.kind, shape[0]))


def beside(format, rng, shape):
    """Return what training may have left beside the values."""
    if format.extra is None:
        return None
    dtype = np.dtype(format.extra.dtype)
    if dtype.kind == "f":
        return rng.normal(0, 60, shape).astype(dtype)
    return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, shape).astype(dtype)


def copies(*arrays):
    return [None if a is None else a.copy() for a in arrays]


def mean_squares(rng, shape):
    """Return what training may have left of mean squares: some numbers have never had a gradient."""
    return np.where(rng.random(shape) < 0.3, 0, rng.random(shape) * 100).astype(np.float32)


@given(KINDS, WEIGHT_NAMES, SEEDS, st.booleans(), st.booleans(), st.booleans(), st.integers(0, 2**40))
def test_weight_rules_agree_with_the_slow_twin(kind, format, seed, compact, momentum, adaptive, counter):
    rng = np.random.default_rng(seed)
    op, tensors = layer(kind, rng)
    c_in = tensors["x"].shape[-1]
    count = c_in if rng.random() < 0.5 else rng.integers(1, c_in + 1)
    channels = np.sort(rng.choice(c_in, count, replace=False)).astype(np.int32)
    block = block_shape(op, tensors, len(channels))
    shape = block if compact else tensors["w"].shape
    velocity = rng.standard_normal(shape).astype(np.float32) if momentum else None
    gradient = (rng.standard_normal(block) * 10 ** rng.uniform(-4, 3)).astype(np.float32)
    mine = copies(
        rng.integers(-127, 128, shape).astype(np.int8), beside(WEIGHTS[format], rng, shape), velocity,
        mean_squares(rng, shape) if adaptive else None,
    )  # fmt: skip
    theirs = copies(*mine)
    for module, (w, c, v, s) in ((update, mine), (reference, theirs)):
        rule = module.weight_rule(op, tensors, format, compact=compact, seed=seed << 7, second_moment=0.99)
        rule(w, c, channels, gradient, 0.25, v, 0.9, counter, s)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


@given(SEEDS, st.sampled_from(sorted(BIASES)), st.booleans(), st.booleans())
def test_bias_rules_agree_with_the_slow_twin(seed, format, momentum, adaptive):
    rng = np.random.default_rng(seed)
    op, tensors = layer(OpKind.CONV_2D, rng)
    count = tensors["b"].shape[0]
    bias = rng.choice([-(2**31), 2**31 - 1, 5, -70000], count).astype(np.int32)
    gradient = (rng.standard_normal(count) * 100).astype(np.float32)
    velocity = rng.standard_normal(count).astype(np.float32) if momentum else None
    extra = beside(BIASES[format], rng, (count,))
    square = mean_squares(rng, count) if adaptive else None
    mine, theirs = copies(bias, velocity, extra, square), copies(bias, velocity, extra, square)
    for module, (b, v, r, s) in ((update, mine), (reference, theirs)):
        rule = module.bias_rule(op, tensors, format, seed=seed, second_moment=0.99)
        rule(b, r, gradient, 0.5, v, 0.9, 3, s)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_second_moment_makes_steps_of_the_rate_whatever_the_size_of_gradients():
    op, tensors = constant_layer(3)
    weight, square = np.zeros((3, 1, 1, 1), np.int8), np.zeros((3, 1, 1, 1), np.float32)
    gradient = np.array([1e-3, -5.0, 0.0], np.float32).reshape(1, 1, 1, 3)
    rule = update.weight_rule(op, tensors, "int8", second_moment=0.9)
    for _ in range(4):
        rule(weight, None, np.zeros(1, np.int32), gradient, 3.0, None, 0, 0, square)
    assert weight.reshape(-1).tolist() == [-12, 12, 0]
    np.testing.assert_allclose(square.reshape(-1), gradient.reshape(-1) ** 2, rtol=1e-6)


@given(KINDS, SEEDS, WEIGHT_NAMES)
def test_whole_weights_and_selected_channels_learn_the_same(kind, seed, format):
    rng = np.random.default_rng(seed)
    op, tensors = layer(kind, rng)
    c_in = tensors["x"].shape[-1]
    channels = np.sort(rng.choice(c_in, rng.integers(1, c_in + 1), replace=False)).astype(np.int32)
    gradient = rng.standard_normal(block_shape(op, tensors, len(channels))).astype(np.float32)
    whole = int8(rng, *tensors["w"].shape)
    extra = WEIGHTS[format].extra
    kept = None if extra is None else extra.start(whole)
    part = gather(op, whole, channels, c_in)
    part_kept = None if kept is None else gather(op, kept, channels, c_in)
    update.weight_rule(op, tensors, format, seed=1)(whole, kept, channels, gradient, 1.0, None, 0, 9)
    rule = update.weight_rule(op, tensors, format, seed=1, compact=True)
    rule(part, part_kept, channels, gradient, 1.0, None, 0, 9)
    np.testing.assert_array_equal(gather(op, whole, channels, c_in), part)


def constant_layer(c_out: int) -> tuple[Op, dict[str, Tensor]]:
    tensors = {
        "x": Tensor("x", (1, 1, 1, 1), "int8", Quant.of(1)),
        "w": Tensor("w", (c_out, 1, 1, 1), "int8", Quant(np.ones(c_out, np.float32), 0, 0)),
        "y": Tensor("y", (1, 1, 1, c_out), "int8", Quant.of(1)),
    }
    return Op("layer", OpKind.CONV_2D, ("x", "w"), "y"), tensors


@pytest.mark.parametrize("step", [0.3, -0.01, 1.75, 1e-3])
def test_stochastic_rounding_is_unbiased_and_repeatable(step):
    count = 20_000
    op, tensors = constant_layer(count)
    gradient = np.full((1, 1, 1, count), step, np.float32)
    channel = np.zeros(1, np.int32)
    results = []
    for counter in (5, 5, 6):
        w = np.full((count, 1, 1, 1), 7, np.int8)
        update.weight_rule(op, tensors, "int8-sr", seed=3)(w, None, channel, gradient, 1.0, None, 0, counter)
        results.append(w)
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any()
    mean = results[0].astype(float).mean()
    fraction = step % 1
    assert abs(mean - (7 - step)) < 5 * np.sqrt(fraction * (1 - fraction) / count) + 1e-9


def test_a_residual_remembers_small_steps():
    op, tensors = constant_layer(1)
    w, r = np.full((1, 1, 1, 1), 10, np.int8), np.zeros((1, 1, 1, 1), np.int8)
    rule = update.weight_rule(op, tensors, "int8+res8")
    for _ in range(100):
        rule(w, r, np.zeros(1, np.int32), np.full((1, 1, 1, 1), 1 / 64, np.float32), 1.0, None, 0, 0)
    assert w.item() + r.item() / 256 == pytest.approx(10 - 100 / 64)


def test_weights_and_broken_gradients_stay_in_range():
    op, tensors = constant_layer(3)
    gradient = np.array([np.nan, np.inf, -np.inf], np.float32).reshape(1, 1, 1, 3)
    for format in ("int8", "int8-sr"):
        w = np.zeros((3, 1, 1, 1), np.int8)
        update.weight_rule(op, tensors, format)(w, None, np.zeros(1, np.int32), gradient, 1.0, None, 0, 0)
        assert w.reshape(-1).tolist() == [-127, -127, 127]


def test_dead_channels_do_not_learn():
    rng = np.random.default_rng(0)
    op, tensors = layer(OpKind.CONV_2D, rng)
    count = tensors["w"].shape[0]
    scales = np.ones(count, np.float32)
    scales[0] = 1e-9
    tensors["w"] = Tensor("w", tensors["w"].shape, "int8", Quant(scales, 0, 0))
    assert qas.qas_weight(op, tensors)[0] == 0 == qas.qas_bias(op, tensors)[0]
    np.testing.assert_allclose(qas.qas_bias(op, tensors)[1:], 1 / 0.5**2)
    assert qas.dead_channels(np.array([1, 1, 1, 9e-4, 1.1e-3])).tolist() == [False] * 3 + [True, False]


def test_unknown_formats_and_channels_are_refused():
    op, tensors = constant_layer(3)
    with pytest.raises(UnknownName, match="int8-sr"):
        update.weight_rule(op, tensors, "int8sr")
    with pytest.raises(UnknownName, match="int32"):
        update.bias_rule(op, tensors, "int31")
    rule = update.weight_rule(op, tensors, "int8")
    w, g = np.zeros((3, 1, 1, 1), np.int8), np.zeros((1, 1, 1, 3), np.float32)
    for channels in (np.array([1], np.int32), np.array([-1], np.int32), np.zeros(2, np.int32)):
        with pytest.raises(BadArgument, match="layer"):
            rule(w, None, channels, g, 1.0, None, 0, 0)
    with pytest.raises(BadArgument, match="extra of the weight"):
        rule(w, w.copy(), np.zeros(1, np.int32), g, 1.0, None, 0, 0)
    with pytest.raises(BadArgument, match="extra of the weight"):
        update.weight_rule(op, tensors, "int8+res8")(w, None, np.zeros(1, np.int32), g, 1.0, None, 0, 0)


@given(SEEDS, st.integers(1, 40), st.floats(0.01, 60), st.sampled_from([0.0, 0.1, 0.5]))
def test_losses_agree_with_the_slow_twin(seed, classes, spread, smoothing):
    rng = np.random.default_rng(seed)
    logits, target = (rng.normal(0, spread, classes).astype(np.float32) for _ in range(2))
    label = int(rng.integers(classes))
    g, expected = (np.empty(classes, np.float32) for _ in range(2))
    ours = loss.SoftmaxCrossEntropy(smoothing)(logits, label, g)
    assert ours == reference.softmax_cross_entropy(logits, label, expected, smoothing=smoothing)
    np.testing.assert_array_equal(g, expected)
    theirs = reference.mean_squared_error(logits, target, expected)
    assert loss.MeanSquaredError()(logits, target, g) == theirs
    np.testing.assert_array_equal(g, expected)


@given(SEEDS, st.integers(2, 12))
def test_loss_gradients_are_finite_differences(seed, classes):
    rng = np.random.default_rng(seed)
    logits, target = (rng.normal(0, 2, classes).astype(np.float32) for _ in range(2))
    label = int(rng.integers(classes))

    def cross_entropy(z):
        return np.log(np.exp(z - z.max()).sum()) - (z[label] - z.max())

    def squared(z):
        return ((z - target.astype(float)) ** 2).mean()

    g = np.empty(classes, np.float32)
    for value, function in (
        (loss.SoftmaxCrossEntropy()(logits, label, g), cross_entropy),
        (loss.MeanSquaredError()(logits, target, g), squared),
    ):
        z = logits.astype(float)
        assert value == pytest.approx(function(z), rel=1e-4, abs=1e-5)
        if function is cross_entropy:
            loss.SoftmaxCrossEntropy()(logits, label, g)
        else:
            loss.MeanSquaredError()(logits, target, g)
        for i in range(classes):
            nudge = np.eye(classes)[i] * 1e-4
            difference = (function(z + nudge) - function(z - nudge)) / 2e-4
            assert g[i] == pytest.approx(difference, abs=1e-4, rel=1e-3)


def test_exponential_and_logarithm_are_accurate():
    x = np.linspace(-87, 20, 5001).astype(np.float32)
    np.testing.assert_allclose(reference.loss.exponential(x), np.exp(x.astype(float)), rtol=3e-7)
    for value in np.geomspace(1, 1e6, 200).astype(np.float32):
        exact = np.log(float(value))
        assert reference.loss.logarithm(value) == pytest.approx(exact, rel=3e-7, abs=1e-7)


def test_a_label_that_is_no_class_is_refused():
    logits = np.zeros(3, np.float32)
    with pytest.raises(BadArgument, match="label 3"):
        loss.SoftmaxCrossEntropy()(logits, 3, logits.copy())
    with pytest.raises(BadArgument, match="target"):
        loss.MeanSquaredError()(logits, np.zeros(2, np.float32), logits.copy())
