"""Networks that enlarge small pictures themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import small_network

import mcusim
from mcusim.core import BadArgument
from mcusim.engine.inference import activations
from mcusim.graph.enlarging import ENLARGE, PIXELS, enlarging
from mcusim.graph.resolution import at_resolution, sides
from mcusim.lowering.action import Action
from mcusim.planning.suggest import suggest


def test_the_network_sees_what_the_op_makes_of_the_picture():
    model = small_network(side=16)
    small = enlarging(model, 5)
    picture = np.random.default_rng(0).integers(-128, 128, (1, 5, 5, 3)).astype(np.int8)
    found = activations(small, picture)
    assert small.input.shape == (1, 5, 5, 3)
    assert found[model.input.name].shape == (1, 16, 16, 3)
    theirs = activations(model, found[model.input.name])
    assert all(np.array_equal(found[name], theirs[name]) for name in theirs)


def test_a_flat_picture_stays_flat_and_names_in_use_are_left_alone():
    model = small_network(side=16)
    twice = enlarging(enlarging(model, 8), 4)
    assert {PIXELS, PIXELS + "_"} <= set(twice.tensors)
    assert {ENLARGE, ENLARGE + "_"} <= {op.name for op in twice.ops}
    picture = np.full((1, 4, 4, 3), -77, np.int8)
    assert (activations(twice, picture)[model.input.name] == -77).all()


@pytest.mark.parametrize("side", [0, 16, 17, 10**6])
def test_sizes_that_make_no_sense_are_refused(side):
    with pytest.raises(BadArgument, match=f"pixels {side}: are not fewer than the 16"):
        enlarging(small_network(side=16), side)


def test_what_is_no_int8_image_is_refused():
    model = small_network()
    other = {**model.tensors, model.input.name: replace(model.input, dtype="uint8")}
    with pytest.raises(BadArgument, match="no square int8 image"):
        enlarging(replace(model, tensors=other), 5)


def test_the_enlarged_picture_never_exists_as_a_whole():
    model = enlarging(small_network(side=64), 8)
    whole = mcusim.plan(model, "stm32f746", update="head", patches="off")
    parts = mcusim.plan(model, "stm32f746", update="head", patches="2:a.project")
    assert parts.peak_bytes < whole.peak_bytes
    made = [op for op in parts.step.ops if op.action is Action.FORWARD and op.source.name == ENLARGE]
    assert len(made) == 4
    assert model.ops[0].output in whole.step.tensors
    assert model.ops[0].output not in parts.step.tensors


def test_another_resolution_changes_what_is_looked_at_and_not_the_pictures():
    model = small_network(side=16)
    small = at_resolution(enlarging(model, 5), 12)
    assert small.input.shape == (1, 5, 5, 3)
    assert sides(small) == (12, 12)
    picture = np.random.default_rng(1).integers(-128, 128, (1, 5, 5, 3)).astype(np.int8)
    found, wanted = (activations(m, picture) for m in (small, enlarging(at_resolution(model, 12), 5)))
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
    with pytest.raises(BadArgument, match="pixels 5: are not fewer than the 4"):
        at_resolution(small, 4)


def test_a_smaller_resolution_that_is_suggested_can_be_asked_for():
    model = small_network(side=32)
    session = mcusim.Session(enlarging(model, 8), "stm32f746", "dense")
    found = {each.change: each.needed_bytes for each in suggest(session.plan(), session.scheme)}
    asked = enlarging(at_resolution(model, 16), 8)
    assert found["resolution=16"] == mcusim.Session(asked, "stm32f746", "dense").plan().peak_bytes
