"""One network gives one plan, whichever way it is written; no rewrite changes a bit."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from arena_steps import train
from every_op import every_op_network
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import small_network
from pooled_networks import pooled_network
from simplify_disguises import disguised, plain

import mcusim
from mcusim.core import UnknownName
from mcusim.engine.inference import Inference
from mcusim.graph import Arithmetic, Model, OpKind
from mcusim.kernels.forward import forward
from mcusim.lowering.action import Action
from mcusim.simplify import simplified
from mcusim.simplify.registry import REWRITES
from mcusim.update import Formats

BOARD = mcusim.board("stm32u585")


def images(model: Model, count: int = 1, seed: int = 0) -> np.ndarray:
    """Return random examples of an int8 network."""
    return np.random.default_rng(seed).integers(-128, 128, (count, *model.input.shape[1:])).astype(np.int8)


def outputs(model: Model, x: np.ndarray) -> np.ndarray:
    """Return a network's outputs for int8 examples; a float input is given the reals they stand for."""
    if model.input.dtype == "float32":
        first = next(op for op in model.ops if op.inputs == model.inputs)
        quant = model.tensors[first.output].quant
        x = ((x.astype(np.float32) - np.float32(quant.zero_point)) * quant.scale).astype(np.float32)
    return Inference(model).run(x)


def blocks(plan: mcusim.Plan) -> set[tuple[object, ...]]:
    """Return everything that is placed, and where."""
    offsets = plan.solution.offsets
    return {(b.name, b.bytes, b.lifetime, b.role, b.shrinks, offsets[b.name]) for b in plan.problem.blocks}


@pytest.mark.parametrize("name", list(REWRITES))
@pytest.mark.parametrize("arithmetic", Arithmetic)
def test_every_rewrite_is_needed_and_changes_no_bit(name, arithmetic):
    model = plain(small_network(3, arithmetic=arithmetic))
    other = disguised(model, name.__eq__)
    assert len(other.ops) > len(model.ops)
    assert np.array_equal(outputs(model, images(model)), outputs(other, images(model)))
    without = simplified(other, [n for n in REWRITES if n != name])
    if name != "shape":  # what a chain of RESHAPE comes back to is an identity, which is what takes it out
        assert len(without.model.ops) > len(model.ops)
        assert simplified(other, [name]).model.ops == model.ops
    assert simplified(other).model.ops == model.ops
    assert np.array_equal(outputs(simplified(other).model, images(model)), outputs(model, images(model)))


@settings(max_examples=20)
@given(st.data())
def test_two_files_of_one_network_give_one_plan(data):
    draw = data.draw
    model = plain(small_network(draw(st.integers(0, 5)), side=draw(st.sampled_from([12, 16, 17]))))
    wanted = draw(st.sets(st.sampled_from(list(REWRITES))))
    second = disguised(model, lambda name: name in wanted and draw(st.booleans()))
    x = images(model, seed=draw(st.integers(0, 9)))
    assert np.array_equal(outputs(model, x), outputs(second, x))
    update = draw(st.sampled_from(["none", "last-2", "dynamic:ratio=0.1,blocks=2"]))
    plans = [mcusim.plan(m, BOARD, update) for m in (model, second)]
    assert blocks(plans[0]) == blocks(plans[1])
    assert plans[0].as_dict() == plans[1].as_dict()


def test_two_files_of_one_network_fuse_the_same_pool():
    """However it is written, the pool is computed with the convolution before it."""
    model = plain(pooled_network())
    second = disguised(model, lambda name: True)
    assert len(second.ops) > len(model.ops)
    plans = [mcusim.plan(m, BOARD, "head", patches="off") for m in (model, second)]
    assert all(Action.POOLED in {op.action for op in plan.step.ops} for plan in plans)
    assert blocks(plans[0]) == blocks(plans[1])
    assert plans[0].as_dict() == plans[1].as_dict()


@pytest.mark.parametrize("update", ["dense", "last-2"])
def test_a_simplified_network_learns_the_same(update):
    model = plain(small_network(1))
    other = disguised(model, lambda name: name in ("pad", "activation", "identity"))
    for network in (other, every_op_network()):
        simple = simplified(network)
        assert len(simple.model.ops) < len(network.ops)
        runs = [train(m, update, Formats(), arena=True) for m in (network, simple.model)]
        assert runs[0][0] == runs[1][0]
        learned = runs[1][1].trained(network)
        assert learned.same_as(runs[0][1].trained())
        assert not learned.same_as(network)


@pytest.mark.smoke
def test_every_op_knows_what_it_stands_for():
    model = plain(small_network(2))
    other = disguised(model, lambda name: name in ("pad", "activation"))
    simple = simplified(other)
    assert set(simple.origin) == {op.name for op in simple.model.ops}
    named = [name for names in simple.origin.values() for name in names]
    assert sorted(named) == sorted(op.name for op in other.ops)
    assert simple.origin["stem"] == ("stem.pad", "stem")
    assert simple.original is other


def test_a_pad_that_several_read_goes_into_each_that_can_take_it():
    model = every_op_network()
    simple = simplified(model)
    assert OpKind.PAD not in {op.kind for op in simple.model.ops}
    assert simple.model.op("stem").attributes.padding == ((1, 1), (1, 1))


def test_max_pool_takes_a_pad_only_where_it_writes_the_least_value():
    from mcusim.graph import Attributes, Op, Quant, Tensor

    for zero, left in ((-128, 1), (0, 2)):
        quant = Quant.of(0.1, zero)
        tensors = {
            "x": Tensor("x", (1, 5, 5, 2), "int8", quant),
            "p": Tensor("p", (1, 7, 7, 2), "int8", quant),
            "y": Tensor("y", (1, 3, 3, 2), "int8", quant),
        }
        ops = (
            Op("pad", OpKind.PAD, ("x",), "p", Attributes(pads=((0, 0), (1, 1), (1, 1), (0, 0)))),
            Op("pool", OpKind.MAX_POOL_2D, ("p",), "y", Attributes(kernel=(3, 3), stride=(2, 2))),
        )
        model = Model("pooled", ops, tensors, ("x",), ("y",))
        simple = simplified(model).model
        assert len(simple.ops) == left
        x = images(model)
        assert np.array_equal(outputs(model, x), outputs(simple, x))


def test_switching_off_leaves_the_network_as_it_is():
    model = disguised(plain(small_network(0)), "pad".__eq__)
    plans = {s: mcusim.plan(model, BOARD, "none", simplify=s) for s in ("off", "pad", "all", "identity")}
    assert plans["off"].step.model is model
    assert plans["identity"].peak_bytes == plans["off"].peak_bytes > plans["pad"].peak_bytes
    assert plans["pad"].peak_bytes == plans["all"].peak_bytes
    with pytest.raises(UnknownName, match="pad"):
        mcusim.plan(model, BOARD, "none", simplify="pads")


def test_the_input_is_what_the_first_op_would_have_made():
    model = disguised(small_network(0), "input".__eq__)
    simple = simplified(model).model
    assert (model.input.dtype, simple.input.dtype) == ("float32", "int8")
    reals = np.random.default_rng(0).normal(0, 1, (1, *model.input.shape[1:])).astype(np.float32)
    given_ = np.empty(reals.shape, np.int8)
    forward(model.ops[0], model.tensors, model.arithmetic)((reals,), given_)
    assert np.array_equal(Inference(model).run(reals), Inference(simple).run(given_))


FOLDER = Path(os.environ.get("MCUSIM_DATA", "nowhere"))
PAIR = (FOLDER / "models/mbv2-w0.35-int8.npz", FOLDER / "tflite/tinytraining_mbv2-w0.35_128_int8.tflite")


@pytest.mark.skipif(not all(path.is_file() for path in PAIR), reason="needs public models")
@pytest.mark.parametrize("update", ["dynamic", "last-6", "none"])
def test_the_two_public_files_of_one_network_need_the_same(update):
    plans = [mcusim.plan(mcusim.load(path, classes=10), BOARD, update, sram="256KiB") for path in PAIR]
    a, b = ({k: v for k, v in p.as_dict()["sram"].items() if k not in ("peak_op", "patches")} for p in plans)
    assert a == b
    assert [p.settings.patches is None for p in plans] == [update == "none"] * 2
