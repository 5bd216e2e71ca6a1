"""Networks at another resolution."""

from __future__ import annotations

import numpy as np
import pytest
from networks import small_network

import mcusim
from mcusim.core import BadArgument
from mcusim.engine.inference import activations
from mcusim.graph import Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.resolution import at_resolution
from mcusim.lowering.lower import lower_inference
from mcusim.memory.bound import lower_bound


@pytest.mark.parametrize("side", [8, 24, 32, 33])
def test_a_network_at_a_resolution_is_the_network_made_for_it(side):
    found, made = at_resolution(small_network(side=16), side), small_network(side=side)
    assert {n: t.shape for n, t in found.tensors.items()} == {n: t.shape for n, t in made.tensors.items()}
    assert [op.attributes for op in found.ops] == [op.attributes for op in made.ops]
    image = np.random.default_rng(0).integers(-128, 128, found.input.shape, dtype=np.int8)
    ours, theirs = activations(found, image), activations(made, image)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_the_same_resolution_is_the_same_network():
    model = small_network()
    assert at_resolution(model, 16) is model


@pytest.mark.parametrize(
    ("side", "reason"), [(0, "not a number of pixels"), (10**6, "not a number of pixels")]
)
def test_sizes_that_make_no_sense_are_refused(side, reason):
    with pytest.raises(BadArgument, match=reason):
        at_resolution(small_network(), side)


def test_a_classifier_of_a_flattened_map_is_refused():
    x = Tensor("x", (1, 4, 4, 3), "int8", Quant.of(0.1, 0))
    y = Tensor("y", (1, 48), "int8", x.quant)
    op = Op("flatten", OpKind.RESHAPE, ("x",), "y", Attributes(shape=(1, 48)))
    model = Model("flat", (op,), {"x": x, "y": y}, ("x",), ("y",))
    with pytest.raises(BadArgument, match=r"resolution 8: does not suit flat.*cannot turn"):
        at_resolution(model, 8)


@pytest.mark.data
def test_public_networks_at_other_resolutions(data_dir):
    model = mcusim.load("mbv2-w0.35", resolution=96)
    assert model.input.shape == (1, 96, 96, 3)
    assert lower_bound(lower_inference(model).problem()).bytes == 196_608 * 9 // 16
    people = mcusim.load(data_dir / "tflite" / "mlperftiny_vww_96_int8.tflite")
    assert at_resolution(people, 128).output.shape == people.output.shape
    spectrogram = mcusim.load(data_dir / "tflite" / "mlperftiny_kws_ref_model.tflite")
    with pytest.raises(BadArgument, match="no square image"):
        at_resolution(spectrogram, 64)
