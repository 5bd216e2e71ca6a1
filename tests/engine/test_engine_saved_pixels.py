"""Steps that keep only some pixels of saved features: the same in the arena, and right on average."""

from __future__ import annotations

import numpy as np
import pytest
from arena_steps import images, train
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import small_network

from mcusim.core import Kind, Slot, SlotPart
from mcusim.engine.buffers import SeparateBuffers
from mcusim.engine.program import Program
from mcusim.engine.state import State
from mcusim.lowering.lower import lower
from mcusim.update.formats import Formats
from mcusim.update.optimizer import Sgd
from mcusim.update.patterns import PATTERNS
from mcusim.update.scheme import scheme

PRUNING = [name for name in PATTERNS if name != "whole"]
SCHEMES = ("last-2", "dense", "dynamic:ratio=0.1,blocks=2")


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1000),
    side=st.sampled_from([8, 13, 16]),
    name=st.sampled_from(PRUNING),
    update=st.sampled_from(SCHEMES),
    error=st.sampled_from(["float32", "int16", "int8"]),
    planner=st.sampled_from(["best", "greedy_by_lifetime"]),
    residency=st.sampled_from(["sram", "flash"]),
    accumulate=st.sampled_from([1, 2]),
)
def test_invariant_6_pruned_features_are_the_same_in_the_arena(
    seed, side, name, update, error, planner, residency, accumulate
):
    model, formats = small_network(seed, side=side), Formats(error=error, feature=name)
    options = {"residency": residency, "sgd": Sgd(lr=0.01, accumulate=accumulate), "steps": 5}
    losses, state = train(model, update, formats, arena=True, planner=planner, **options)
    for in_place in (True, False):
        truth, learned = train(model, update, formats, arena=False, in_place=in_place, **options)
        assert losses == truth
        assert all(np.array_equal(array, learned.arrays[key]) for key, array in state.arrays.items())


@pytest.mark.parametrize("name", ["checker", "grid-2"])
@pytest.mark.parametrize("update", SCHEMES)
def test_pruning_changes_what_weights_learn_and_nothing_else(update, name):
    model = small_network(1)
    (_, whole), (_, pruned) = (
        train(model, update, Formats(feature=f), arena=True, steps=5) for f in ("whole", name)
    )
    step = lower(model, scheme(update).scope(model), Formats(feature=name))
    assert step.saved_pixels
    for op in step.saved_pixels:
        weight = Slot(op, Kind.VALUE, SlotPart.WEIGHT)
        assert not np.array_equal(whole.arrays[weight], pruned.arrays[weight])


def test_the_mean_over_the_phases_is_the_whole_gradient():
    model, chosen = small_network(2), scheme("dense")
    x, gradients = images(16, 1)[0], {}
    for name in ("whole", "checker", "row-3", "grid-2"):
        formats = Formats(feature=name, weight="float32")
        step = lower(model, chosen.scope(model), formats)
        state = State.of(model, step.scope, formats)
        program = Program(step, SeparateBuffers(step), state, Sgd(lr=0.0), seed=3)
        program.load(chosen.select(model, 0, 0))
        pattern = formats.pattern
        # Iterations in which every layer has met each of its phases equally often.
        sides = {model.tensors[op.inputs[0]].shape[1:3] for op in model.convolutions}
        wanted = max(pattern.phases(*side) for side in sides)
        sums: dict[str, np.ndarray] = {}
        for side in sides:
            layers = [op.name for op in model.convolutions if model.tensors[op.inputs[0]].shape[1:3] == side]
            met, iteration = set(), 0
            while len(met) < pattern.phases(*side):
                if (phase := pattern.phase(*side, iteration)) not in met:
                    met.add(phase)
                    state.iteration = iteration
                    program.run(x, 1)
                    for layer in layers:
                        gradient = program._learners[layer].weight_gradient.astype(np.float64)
                        sums[layer] = sums.get(layer, 0) + gradient / pattern.phases(*side)
                iteration += 1
            assert len(met) <= wanted
        gradients[name] = sums
    for name, found in gradients.items():
        for layer, gradient in found.items():
            truth = gradients["whole"][layer]
            np.testing.assert_allclose(gradient, truth, atol=1e-4 * np.abs(truth).max(), err_msg=name)


def test_the_tail_from_a_cached_front_prunes_the_same():
    model, chosen = small_network(6), scheme("last-2")
    step = lower(model, chosen.scope(model), Formats(feature="checker"))
    assert step.boundary is not None
    assert step.saved_pixels
    results = []
    for cached in (False, True):
        state = State.of(model, step.scope, step.formats)
        program = Program(step, SeparateBuffers(step), state, Sgd(lr=0.01))
        front = SeparateBuffers(step)
        source = Program(step, front, State.of(model, step.scope, step.formats), Sgd(lr=0.0))
        for p in (program, source):
            p.load(chosen.select(model, 0, 0))
        for x in images(16, 5):
            source.run(x, 0)
            boundary = front.view(step.boundary).copy()
            results.append(program.run_tail(boundary, 1) if cached else program.run(x, 1))
    assert results[:5] == results[5:]
