"""Batches that are written into a file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import small_network

from mcusim.core import BadModel
from mcusim.engine.inference import activations
from mcusim.graph import Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.batch import at_batch_one, batch_of
from mcusim.graph.validate import validate
from mcusim.tasks.choice import choose


def batched(model, count):
    """Return a network as a file has it that was made for batches."""
    tensors = {
        n: t if t.constant else replace(t, shape=(count, *t.shape[1:])) for n, t in model.tensors.items()
    }
    ops = tuple(
        replace(op, attributes=replace(op.attributes, shape=(count, *op.attributes.shape[1:])))
        if op.attributes.shape
        else op
        for op in model.ops
    )
    return validate(replace(model, ops=ops, tensors=tensors))


def test_a_network_for_a_batch_is_the_network_for_one():
    model = small_network()
    many = batched(model, 4)
    assert batch_of(many) == 4
    single = at_batch_one(many)
    assert single.same_as(model)
    x = np.random.default_rng(0).integers(-128, 128, (4, 16, 16, 3)).astype(np.int8)
    ours, theirs = activations(single, x[:1]), activations(many, x)
    np.testing.assert_array_equal(ours[model.outputs[0]], theirs[model.outputs[0]][:1])
    assert at_batch_one(model) is model


def test_a_batch_of_several_is_never_learned_as_one_example():
    with pytest.raises(BadModel, match=r"batch of several examples.*mcusim.load"):
        choose(batched(small_network(), 4))


def joined(kind, made, constant=None, **attributes):
    """Return a network of one op over a batch of four."""
    tensors = {
        "x": Tensor("x", (4, 6), "int8", Quant.of(0.1, 0)), "y": Tensor("y", made, "int8", Quant.of(0.1, 0))
    }  # fmt: skip
    inputs = ("x",)
    if constant is not None:
        tensors["c"] = Tensor("c", constant.shape, "int8", Quant.of(0.1, 0), constant)
        inputs = ("x", "c")
    return validate(
        Model("one", (Op("op", kind, inputs, "y", Attributes(**attributes)),), tensors, ("x",), ("y",))
    )


@pytest.mark.parametrize(
    ("model", "single"),
    [
        (joined(OpKind.SOFTMAX, (4, 6), axes=(1,)), (1, 6)),
        (joined(OpKind.SOFTMAX, (4, 6), axes=(0,)), None),
        (joined(OpKind.MEAN, (4, 1), axes=(-1,)), (1, 1)),
        (joined(OpKind.ADD, (4, 6), np.zeros((6,), np.int8)), (1, 6)),
        (joined(OpKind.ADD, (4, 6), np.zeros((1, 6), np.int8)), (1, 6)),
        (joined(OpKind.ADD, (4, 6), np.zeros((4, 6), np.int8)), None),
        (joined(OpKind.RESHAPE, (4, 2, 3), shape=(4, 2, 3)), (1, 2, 3)),
        (joined(OpKind.PAD, (4, 8), pads=((0, 0), (1, 1))), (1, 8)),
    ],
)
def test_only_what_keeps_examples_apart_is_taken_apart(model, single):
    if single is None:
        with pytest.raises(BadModel, match=r"op 'op'.*mixes the 4 examples.*batch of 1"):
            at_batch_one(model)
        with pytest.raises(BadModel, match="mixes"):
            choose(model)
    else:
        assert at_batch_one(model).output.shape == single


def test_what_has_no_batch_is_left_alone():
    assert batch_of(joined(OpKind.RESHAPE, (24,), shape=(24,))) == 1
    assert batch_of(joined(OpKind.PAD, (5, 6), pads=((0, 1), (0, 0)))) == 1
