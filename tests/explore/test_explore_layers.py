"""What ``mcusim show`` says of a network is what planning and learning do with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from networks import small_network

import mcusim
from mcusim.core import BadModel, Phase
from mcusim.explore.layers import NO_WEIGHTS, show
from mcusim.graph import Arithmetic, Attributes, Op, OpKind, Tensor


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
        assert scope.eligible == (layer.name,)


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


def test_a_layer_that_no_step_can_train_says_why(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise BadModel("op largest (arg_max)", "has no gradient")

    monkeypatch.setattr("mcusim.explore.layers.lower", refuse)
    layers = [layer for layer in show(small_network()).layers if layer.weights]
    assert {layer.cost for layer in layers} == {None}
    assert {layer.why_not for layer in layers} == {"op largest (arg_max) has no gradient"}
    assert not any(layer.learns for layer in layers)


def test_the_table_and_the_data_have_a_row_a_layer():
    found = show(small_network())
    assert len(found.table) == len(found.layers) == len(found.as_dict()["layers"])
    assert found.table.loc["b.project", "own_macs"] == 16 * 32 * 16


@pytest.mark.smoke
def test_every_shipped_network_can_be_shown():
    found = show(mcusim.load("synthetic-mbv2"))
    assert found.task == "classification"
    assert "classification (guessed)" in str(found)
    assert "6.project" in str(found)


def test_a_task_that_is_not_clear_says_why():
    model = mcusim.load("synthetic-mbv2")
    outputs = (*model.outputs, model.ops[0].output)
    found = show(replace(model, outputs=outputs))
    assert found.task is None
    assert "not clear: has 2 outputs" in " ".join(str(found).split())


def test_what_stands_in_the_way_of_an_op_is_said_with_the_way_out():
    model = small_network()
    tensors = {**model.tensors, "y": Tensor("y", model.output.shape, "float32")}
    ops = (*model.ops, Op("y", OpKind.LOGISTIC, (model.outputs[0],), "y", Attributes(clamp=None)))
    found = mcusim.show(replace(model, ops=ops, tensors=tensors, outputs=("y",), head=None))
    assert [layer.name for layer in found.layers if layer.refused] == ["y"]
    assert "cannot be executed: it gives float32 from float32" in found.layers[-1].refused
    assert "mcusim quantize" in found.layers[-1].refused
    assert "in the way:" in str(found)
    assert found.as_dict()["layers"][-1]["refused"] == found.layers[-1].refused
    assert not any(layer.refused for layer in mcusim.show(model).layers)


def test_whose_integers_an_arithmetic_gives_is_said():
    assert "arithmetic" in str(mcusim.show(small_network()))
    assert {arithmetic.twin for arithmetic in Arithmetic} >= {"TinyEngine's firmware"}
    assert len({arithmetic.twin for arithmetic in Arithmetic}) == len(Arithmetic)
