"""Low-rank adapters: the same network until they learn, every byte of them counted, the base frozen."""

from __future__ import annotations

import numpy as np
import pytest
from arena_steps import images, train
from update_networks import autoencoder, resnet

import mcusim
from mcusim.core import BadArgument, BadModel, Kind, Role, Slot, SlotPart
from mcusim.engine.inference import Inference
from mcusim.graph import Arithmetic
from mcusim.lowering.lower import lower
from mcusim.update import scheme
from mcusim.update.adapters import DOWN, UP, adapters, add_adapters
from mcusim.update.channels import trunk_weights
from mcusim.update.formats import Formats

BOARD = "nrf52840"


@pytest.fixture(scope="module")
def plain():
    return mcusim.load("synthetic-mbv2")


@pytest.fixture(scope="module")
def model(plain):
    return add_adapters(plain, 2, blocks=3)


@pytest.mark.parametrize("arithmetic", Arithmetic)
def test_until_they_learn_the_network_gives_the_same_bits(arithmetic):
    plain = mcusim.load("synthetic-mbv2", arithmetic=arithmetic)
    x = np.concatenate(list(images(plain.input.shape[1], 4)))
    given = [Inference(found).run(x) for found in (plain, add_adapters(plain, 3))]
    np.testing.assert_array_equal(*given)


def test_what_they_are(plain, model):
    found = adapters(model)
    assert len(found) == 6
    for down, up in zip(found[::2], found[1::2], strict=True):
        frozen = plain.op(down.name.removesuffix(DOWN))
        assert up.name == f"{frozen.name}{UP}"
        a, b, w = (model.tensors[op.inputs[1]] for op in (down, up, frozen))
        assert a.shape == (2, 1, 1, w.shape[-1])
        assert b.shape == (w.shape[0], 1, 1, 2)
        assert a.data.any()
        assert not b.data.any()
    extra = sum(model.tensors[op.inputs[1]].elements for op in found)
    assert trunk_weights(model) == trunk_weights(plain) + extra


def test_they_learn_and_what_they_stand_beside_does_not(model):
    chosen = scheme("adapters:biases=2")
    (losses, state), (expected, other) = (
        train(model, chosen.name, Formats(weight="int8+res8"), arena=a) for a in (True, False)
    )
    arrays = state.arrays
    assert losses == expected
    for slot, array in other.arrays.items():
        np.testing.assert_array_equal(arrays[slot], array)
    weights = {slot.of for slot in arrays if slot.kind is Kind.VALUE and slot.part is SlotPart.WEIGHT}
    assert weights == {*(op.name for op in adapters(model)), model.head}
    ups = [op for op in adapters(model) if op.name.endswith(UP)]
    assert all(arrays[Slot(op.name, Kind.RESIDUAL, SlotPart.WEIGHT)].any() for op in ups)


def test_their_saved_features_and_weights_are_counted(model):
    step = lower(model, scheme("adapters").scope(model), Formats())
    for op in adapters(model):
        weight = step.tensors[Slot(op.name, Kind.VALUE, SlotPart.WEIGHT)]
        assert (weight.role, weight.bytes) == (Role.WEIGHT, model.tensors[op.inputs[1]].bytes)
        assert step.tensors[op.inputs[0]].role is Role.FEATURE


def test_a_session_reads_and_learns_them():
    session = mcusim.Session(
        add_adapters(mcusim.load("synthetic-mbv2"), 4), mcusim.board(BOARD), "adapters:biases=10",
        formats=Formats(weight="int8+res8", bias="int32+res8"), sgd=mcusim.Sgd(lr=0.02),
    )  # fmt: skip
    run = session.train(mcusim.data.synthetic("target"), limit=1500)
    assert run.memory.peak_bytes == session.plan().peak_bytes
    assert run.metric_after > run.metric_before + 0.1


def test_what_cannot_have_them_is_refused_by_name(plain, model):
    with pytest.raises(BadArgument, match="adapters already"):
        add_adapters(model, 2)
    with pytest.raises(BadArgument, match="rank=0"):
        add_adapters(plain, 0)
    with pytest.raises(BadArgument, match="blocks=0"):
        add_adapters(plain, 1, blocks=0)
    for other in (resnet(), autoencoder()):
        with pytest.raises(BadModel, match="no int8 pointwise projection"):
            add_adapters(other, 2)
    with pytest.raises(BadArgument, match=r"has no adapters.*adapters=4"):
        scheme("adapters").scope(plain)
    with pytest.raises(BadArgument, match="biases -1"):
        scheme("adapters:biases=-1")
