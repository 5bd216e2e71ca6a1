from __future__ import annotations

import pytest
from update_networks import ALL, autoencoder, mobilenet, resnet, separable, squeeze_excite

from mcusim.core import BadArgument, UnknownName
from mcusim.update.blocks import blocks
from mcusim.update.channels import layers, trunk, trunk_weights
from mcusim.update.eligible import candidates, eligible_layers


@pytest.mark.parametrize("make", ALL)
def test_every_op_of_the_trunk_is_in_exactly_one_block(make):
    model = make()
    assert [name for block in blocks(model) for name in block.ops] == [op.name for op in trunk(model)]


@pytest.mark.parametrize("pad", [False, True])
def test_inverted_residuals_are_found(pad):
    found = blocks(mobilenet(4, pad=pad))
    assert len(found) == 5
    assert found[0].ops == ("stem",)
    assert (found[1].expand, found[1].depthwise, found[1].project) == (None, "b0.depthwise", "b0.project")
    assert found[4].ops == (found[4].expand, found[4].depthwise, found[4].project)
    assert found[4].ops == ("b3.expand", "b3.depthwise", "b3.project")


def test_separable_blocks_are_pairs():
    # The pointwise layer of one block expands into the depthwise of the next one only if it is not
    # already the projection of its own block.
    found = blocks(separable())
    assert [block.ops for block in found] == [
        ("stem",), *((f"b{i}.depthwise", f"b{i}.pointwise") for i in range(3)),
    ]  # fmt: skip
    assert all(block.expand is None for block in found)


def test_residual_blocks_lie_between_single_tensors():
    assert [block.ops for block in blocks(resnet())] == [
        ("stem",), ("r0.a", "r0.b"), ("r1.a", "r1.b", "r1.shortcut"),
    ]  # fmt: skip


def test_a_chain_has_a_block_for_each_layer():
    assert [block.ops for block in blocks(autoencoder())] == [("fc0",), ("fc1",), ("fc2",)]


def test_squeeze_and_excitation_belongs_to_its_block():
    block = blocks(squeeze_excite())[1]
    assert block.ops == ("expand", "depthwise", "reduce", "restore", "project")
    assert (block.expand, block.depthwise, block.project) == ("expand", "depthwise", "project")


def names(model, count, kind):
    return [item.op for item in eligible_layers(model, count, kind)]


def test_kinds_of_layers():
    model = mobilenet(4)
    assert names(model, 2, "expand") == ["b2.expand", "b3.expand"]
    assert names(model, 1, "pointwise") == ["b3.expand", "b3.project"]
    assert names(model, 1, "depthwise") == ["b3.depthwise"]
    assert names(model, 2, "project") == ["b2.project", "b3.project"]
    assert names(model, 1, "all") == ["b3.expand", "b3.depthwise", "b3.project"]
    assert names(model, 1, "0+b1.expand+0") == ["stem", "b1.expand"]


def test_gates_of_squeeze_and_excitation_are_no_expanding_layers():
    assert names(squeeze_excite(), 2, "expand") == ["expand"]
    assert names(squeeze_excite(), 1, "pointwise") == ["expand", "reduce", "restore", "project"]


def test_where_nothing_expands_by_design_every_layer_but_depthwise_is_meant():
    assert names(resnet(), 1, "expand") == ["r1.a", "r1.b", "r1.shortcut"]
    assert names(separable(), 2, "expand") == ["b1.pointwise", "b2.pointwise"]
    assert names(autoencoder(), 2, "expand") == ["fc1", "fc2"]
    assert names(resnet(), 99, "all") == [op.name for op in trunk(resnet())]


def test_wrong_layers_are_refused():
    with pytest.raises(UnknownName, match=r"b1\.expand"):
        eligible_layers(mobilenet(), 1, "b1.expnd")
    with pytest.raises(UnknownName):
        eligible_layers(mobilenet(), 1, "99")
    with pytest.raises(BadArgument, match="depthwise"):
        eligible_layers(resnet(), 2, "depthwise")
    with pytest.raises(BadArgument, match="blocks"):
        candidates(resnet(), 0, "all", None)


def test_biases_of_the_last_blocks_that_have_one():
    assert candidates(mobilenet(4), 2, "expand", 1).biases == ("b3.expand", "b3.depthwise", "b3.project")
    assert candidates(mobilenet(4), 2, "expand", 0).biases == ()
    assert candidates(autoencoder(), 3, "all", None).biases == ("fc0", "fc2")


def test_channels_of_a_depthwise_with_a_multiplier():
    from update_networks import Builder

    b = Builder(8, 4)
    b.depthwise("wide", multiplier=3)
    model = b.model("wide", None)
    item = layers(model)["wide"]
    assert (item.channels, item.channel_weights, item.channel_features) == (4, 27, 64)
    assert item.weights == trunk_weights(model) == 108
