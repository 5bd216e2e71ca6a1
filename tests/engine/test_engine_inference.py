"""Inference on the host: the published networks against arithmetic written anew, batches against batch 1."""

from __future__ import annotations

import numpy as np
import pytest
from networks import small_network

import mcusim
from mcusim.core import BadData
from mcusim.engine.inference import Inference
from mcusim.graph import CONVOLUTIONS, OpKind


def convolve(model, op, x):
    """The ``float`` profile, straight from its definition, in 64-bit integers and one float32 product."""
    weight, bias = (model.tensors[n].data.astype(np.int64) for n in op.inputs[1:])
    x_quant, y_quant = model.tensors[op.inputs[0]].quant, model.tensors[op.output].quant
    (top, bottom), (left, right) = op.attributes.padding
    padded = np.pad(x.astype(np.int64) - x_quant.zero_point, ((0, 0), (top, bottom), (left, right), (0, 0)))
    _, kh, kw, _ = weight.shape
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))
    windows = windows[:, :: op.attributes.stride[0], :: op.attributes.stride[1]]
    rule = "nhwcij,ijc->nhwc" if op.kind is OpKind.DEPTHWISE_CONV_2D else "nhwcij,oijc->nhwo"
    acc = np.einsum(rule, windows, weight[0] if op.kind is OpKind.DEPTHWISE_CONV_2D else weight) + bias
    w_scale = model.tensors[op.inputs[1]].quant.scale.astype(np.float64)
    scale = (np.float64(x_quant.scale[0]) * w_scale / np.float64(y_quant.scale[0])).astype(np.float32)
    rounded = np.rint(acc.astype(np.float32) * scale) + y_quant.zero_point
    return np.clip(rounded, *op.attributes.clamp).astype(np.int8)


@pytest.mark.data
@pytest.mark.parametrize("name", ["mbv2-w0.35", "mcunet-5fps", "proxyless-w0.3"])
def test_every_convolution_of_the_public_models_is_bit_exact(data_dir, name):
    model = mcusim.load(name)
    random = np.random.default_rng(0).integers(-128, 128, (1, 128, 128, 3)).astype(np.int8)
    pictures = mcusim.data.cifar10().test.images[:2]
    prepare = mcusim.data.Preprocessor(model, pictures.shape[1:])
    x = np.concatenate([random, prepare(pictures)])
    found = mcusim.activations(model, x)
    assert set(found) == {op.output for op in model.ops}
    for op in model.ops:
        if op.kind in CONVOLUTIONS:
            source = x if op.inputs[0] == model.inputs[0] else found[op.inputs[0]]
            assert np.array_equal(found[op.output], convolve(model, op, source)), op.name


def test_activations_of_a_small_network_are_bit_exact():
    model = small_network(classes=None)
    x = np.random.default_rng(1).integers(-128, 128, (3, 16, 16, 3)).astype(np.int8)
    found = mcusim.activations(model, x)
    for op in model.ops:
        if op.kind in CONVOLUTIONS:
            source = x if op.inputs[0] == "input" else found[op.inputs[0]]
            assert np.array_equal(found[op.output], convolve(model, op, source)), op.name
    assert list(mcusim.activations(model, x, ["stem.y"])) == ["stem.y"]


@pytest.mark.parametrize("batch", [1, 2, 7, 16])
def test_batches_give_the_integers_of_batch_one(batch):
    model = small_network(2)
    x = np.random.default_rng(2).integers(-128, 128, (11, 16, 16, 3)).astype(np.int8)
    one = Inference(model, batch=1).run(x)
    assert np.array_equal(Inference(model, batch=batch).run(x), one)


def test_a_wrong_input_is_refused():
    model = small_network()
    with pytest.raises(BadData, match="16x16x3"):
        mcusim.activations(model, np.zeros((1, 8, 8, 3), np.int8))
    with pytest.raises(BadData, match="int8"):
        mcusim.activations(model, np.zeros((1, 16, 16, 3), np.float32))
    with pytest.raises(BadData, match="at most 2"):
        Inference(model, batch=2)(np.zeros((3, 16, 16, 3), np.int8))
