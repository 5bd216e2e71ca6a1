"""What ``mcusim show`` says of a network is what planning and learning do with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from networks import small_network

import mcusim
from mcusim.core import Phase
from mcusim.explore.layers import COMPUTED, NO_WEIGHTS, show
from mcusim.graph import Attributes, Op, OpKind, Tensor
from mcusim.graph.validate import validate


def by_name(found):
    return {layer.name: layer for layer in found.layers}


def test_the_sums_are_those_of_the_network_and_of_its_plan():
    model = small_network()
    found = show(model)
    weights = [model.tensors[op.weight].elements for op in model.ops if op.weight]
    assert found.weights == sum(weights)
    plan = mcusim.Session(model, mcusim.board("stm32f746"), "none", patches=None).plan()
    assert found.macs == plan.step.macs(Phase.FORWARD) > 0
    assert [layer.name for layer in found.layers] == [op.name for op in model.ops]


def test_a_number_is_what_schemes_call_the_layer_by():
    model = small_network()
    numbered = [layer for layer in show(model).layers if layer.number is not None]
    assert [layer.number for layer in numbered] == list(range(7))
    for layer in numbered:
        scope = mcusim.scheme(f"dynamic:ratio=1.0,layers={layer.number}").scope(model)
        assert scope.pool == (layer.name,)


def test_costs_are_the_bytes_and_multiplications_of_learning_that_layer():
    rows = by_name(show(small_network()))
    # b.project: 32 channels of 4x4 in, 16 out, 1x1: weights and their 16-bit numbers, an int32 bias each.
    cost = rows["b.project"].cost
    assert rows["b.project"].learns == ("weights", "bias")
    assert cost.parameter_bytes == 32 * 16 + 2 * 32 + 4 * 16
    assert cost.own_macs == 16 * 32 * 16
    masks = 2 * (16 * 16 // 8)  # of its own clamp and of the addition's behind it
    assert cost.saved_bytes == 32 * 16 + masks
    head = rows["classifier"]
    assert head.number is None
    assert head.cost.parameter_bytes == 4 * (16 * 4 + 4)
    assert head.cost.error_macs == 0
    errors = [layer.cost.error_macs for layer in rows.values() if layer.number is not None]
    assert errors == sorted(errors, reverse=True)


def test_every_layer_says_what_it_costs_or_why_it_cannot_learn():
    for layer in show(small_network()).layers:
        assert (layer.cost is None) == bool(layer.why_not) == (not layer.learns)
        assert (layer.why_not == NO_WEIGHTS) == (layer.weights == 0)


def test_a_network_that_cannot_be_planned_is_shown_with_the_reason():
    model = small_network()
    data = {name: None if t.data is None else t.data.astype("float32") for name, t in model.tensors.items()}
    tensors = {
        name: replace(t, dtype="float32", quant=None, data=data[name]) for name, t in model.tensors.items()
    }
    ops = tuple(op for op in model.ops if op.kind is not OpKind.DEQUANTIZE)
    floating = replace(model, tensors=tensors, ops=ops, outputs=(ops[-1].output,))
    found = show(floating)
    assert found.weights == show(model).weights
    stem = found.layers[0]
    assert stem.cost is None
    assert "float32" in stem.why_not
    assert "cannot learn" in str(found)


def test_layers_before_an_op_without_a_gradient_cannot_learn():
    model = small_network(classes=None)
    pool = next(i for i, op in enumerate(model.ops) if op.kind is OpKind.MEAN)
    image = model.ops[pool].inputs[0]
    largest = Op("largest", OpKind.ARG_MAX, (image,), "largest", Attributes(axes=(3,)))
    flat = Op("flat", OpKind.RESHAPE, ("largest",), "flat", Attributes(shape=(1, 16)))
    made = {"largest": Tensor("largest", (1, 4, 4), "int32"), "flat": Tensor("flat", (1, 16), "int32")}
    ops = (*model.ops[:pool], largest, flat)
    used = {name for op in ops for name in (*op.inputs, op.output)}
    tensors = {name: t for name, t in {**model.tensors, **made}.items() if name in used}
    found = show(validate(replace(model, ops=ops, tensors=tensors, outputs=("flat",), head=None)))
    layers = [layer for layer in found.layers if layer.weights]
    assert {layer.cost for layer in layers} == {None}
    assert all("no gradient" in layer.why_not for layer in layers)
    assert COMPUTED not in {layer.why_not for layer in layers}
    assert found.task == "16 classes"


def test_the_table_and_the_data_have_a_row_a_layer():
    found = show(small_network())
    assert len(found.table) == len(found.layers) == len(found.as_dict()["layers"])
    assert found.table.loc["b.project", "own_macs"] == 16 * 32 * 16


@pytest.mark.smoke
def test_every_shipped_network_can_be_shown():
    found = show(mcusim.load("synthetic-mbv2"))
    assert found.task == "10 classes"
    assert "6.project" in str(found)
