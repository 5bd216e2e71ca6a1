"""The arena tells the truth: the same step with every tensor in its own buffer gives the same bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from arena_steps import images, train
from every_op import LEFT_OUT, every_op_network
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import dense_network, small_network
from scheme_examples import FIRST
from tasks_networks import case

from mcusim.core import BadProblem, Kind, SlotPart, is_kind
from mcusim.engine.buffers import ArenaBuffers, SeparateBuffers
from mcusim.engine.program import Program
from mcusim.engine.state import State
from mcusim.graph import Arithmetic, OpKind
from mcusim.graph.enlarging import enlarging
from mcusim.kernels.number_formats import BIASES, ERRORS, WEIGHTS
from mcusim.lowering.lower import lower
from mcusim.lowering.patches import Patches
from mcusim.memory.allocators import ALLOCATORS
from mcusim.memory.arena import Arena
from mcusim.memory.checker import check_offsets
from mcusim.memory.planners import PLANNERS
from mcusim.memory.serving import serve
from mcusim.update.formats import Formats
from mcusim.update.optimizer import Sgd
from mcusim.update.scheme import scheme

SCHEMES = (*FIRST, "bias-3")
INPUTS = images()


def same(a, b):
    """True if losses and every learned array agree bit for bit."""
    return a[0] == b[0] and all(np.array_equal(v, b[1].arrays[k]) for k, v in a[1].arrays.items())


@pytest.mark.smoke
def test_invariant_6_two_layers_in_the_arena_equal_two_with_separate_buffers():
    """The invariant with the fewest kernels that a step can have: they may have to be compiled first."""
    x = np.random.default_rng(0).integers(-128, 128, (4, 1, 6)).astype(np.int8)
    more = {"x": x, "targets": (0, 1, 2, 0)}
    model = case("classification")[0]
    assert same(*(train(model, "head", Formats(error="float32"), arena=a, **more) for a in (True, False)))


def test_invariant_6_a_step_in_the_arena_equals_a_step_with_separate_buffers():
    model = small_network()
    formats = Formats()
    assert same(*(train(model, "dynamic:ratio=0.1,blocks=2", formats, arena=a) for a in (True, False)))


@pytest.mark.parametrize("update", SCHEMES)
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("weight", WEIGHTS)
def test_every_scheme_and_format_is_the_same_in_the_arena(update, error, weight):
    model = small_network(1)
    formats = Formats(error=error, weight=weight)
    assert same(*(train(model, update, formats, arena=a) for a in (True, False)))


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("head", ["float32", "int8"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("residency", ["sram", "flash"])
def test_biases_of_every_format_are_the_same_in_the_arena(bias, head, momentum, residency):
    model = small_network(2, head=head)
    formats = Formats(bias=bias, head=head)
    more = {"residency": residency, "sgd": Sgd(lr=1e-4, momentum=momentum)}
    runs = [train(model, "last-3", formats, arena=a, **more) for a in (True, False)]
    assert same(*runs)
    extra = BIASES[bias].extra
    if extra is not None:
        beside = [v for k, v in runs[0][1].arrays.items() if k.kind is extra.kind and k.part is SlotPart.BIAS]
        assert any(v.any() for v in beside)


@pytest.mark.parametrize("head", ["float32", "int8"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("second_moment", [0.0, 0.99])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_heads_optimisers_and_accumulation_are_the_same_in_the_arena(
    head, momentum, second_moment, accumulate
):
    model = small_network(2, head=head)
    sgd = Sgd(lr=0.01, momentum=momentum, second_moment=second_moment, accumulate=accumulate)
    runs = [train(model, "last-3", Formats(head=head), arena=a, sgd=sgd) for a in (True, False)]
    assert same(*runs)
    before = State.of(model, scheme("last-3").scope(model), Formats(head=head))
    assert any(not np.array_equal(v, runs[0][1].arrays[k]) for k, v in before.arrays.items())


def test_every_kind_of_op_is_in_the_network_or_left_out_for_a_reason():
    assert {op.kind for op in every_op_network().ops} == set(OpKind) - set(LEFT_OUT)
    assert all(LEFT_OUT.values())


@pytest.mark.parametrize("arithmetic", Arithmetic)
@pytest.mark.parametrize("update", ["dense", "last-2"])
@pytest.mark.parametrize("error", ["float32", "int8"])
def test_every_op_is_the_same_in_the_arena(arithmetic, update, error):
    model = every_op_network(arithmetic=arithmetic)
    separate, *arena = (
        train(model, update, Formats(error=error), arena=a, in_place=i, overlap=o)
        for a, i, o in (
            (False, False, False), (True, True, True), (True, False, True), (True, True, False),
            (True, False, False),
        )
    )  # fmt: skip
    assert all(same(separate, run) for run in arena)


def test_every_layer_of_the_network_with_every_op_learns():
    model = every_op_network()
    _, state = train(model, "dense", Formats(), arena=True, sgd=Sgd(lr=0.1))
    before = State.of(model, scheme("dense").scope(model), Formats())
    assert all(not np.array_equal(v, before.arrays[k]) for k, v in state.arrays.items())


@pytest.mark.parametrize("head", ["float32", "int8"])
@pytest.mark.parametrize("residency", ["sram", "flash"])
def test_a_classifier_without_bias_learns_its_weights(head, residency):
    model = small_network(head=head)
    last = model.op(model.head)
    ops = (*model.ops[:-1], replace(last, inputs=last.inputs[:2]))
    model = replace(model, ops=ops, tensors={n: t for n, t in model.tensors.items() if n != last.bias})
    runs = [train(model, "last-2", Formats(), arena=a, residency=residency) for a in (True, False)]
    assert same(*runs)
    before = State.of(model, scheme("last-2").scope(model), Formats())
    assert all(not np.array_equal(v, before.arrays[k]) for k, v in runs[0][1].arrays.items())


@pytest.mark.parametrize("planner", ["greedy_by_size", "greedy_by_lifetime", "hill_climb"])
def test_the_planner_does_not_change_results(planner):
    model = small_network(3)
    assert same(*(train(model, "dense", Formats(), arena=a, planner=planner) for a in (True, False)))


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize(("momentum", "second_moment"), [(0.0, 0.0), (0.9, 0.0), (0.9, 0.999)])
def test_residency_in_flash_learns_the_same_as_in_sram(weight, momentum, second_moment):
    model = small_network(4)
    runs = [
        train(
            model, "dynamic:ratio=0.1,blocks=2", Formats(weight=weight), arena=True,
            residency=r, sgd=Sgd(lr=0.01, momentum=momentum, second_moment=second_moment),
        )
        for r in ("sram", "flash")
    ]  # fmt: skip
    assert same(*runs)


def test_dense_layers_in_flash_learn_the_same_as_in_sram():
    model, sgd = dense_network(), Sgd(lr=0.01, momentum=0.9)
    update, more = "dynamic:ratio=0.4,layers=all", {"sgd": sgd, "x": images(4)}
    runs = [train(model, update, Formats(), arena=True, residency=r, **more) for r in ("sram", "flash")]
    assert same(*runs)


@pytest.mark.parametrize("update", ["none", "head", "bias", "last-1"])
@pytest.mark.parametrize("in_place", [True, False])
def test_outputs_really_grow_over_dying_inputs(update, in_place):
    """Forward and backward: many of the bytes that may be shared are, and the checker agrees."""
    model = small_network(6)
    step = lower(model, scheme(update).scope(model), Formats(error="int16"), in_place=in_place)
    problem = step.problem()
    solution = PLANNERS["best"](problem)
    check_offsets(problem, solution.offsets)
    shared = step.shared(solution.offsets)
    assert sum(shared.values()) > sum(step.shared().values()) // 3 > 0
    back = [name for name in step.shared() if is_kind(name, Kind.ERROR)]
    assert bool(back) == (update == "bias")  # a weight gradient reads the error after the input gradient
    with pytest.raises(BadProblem, match="overlap"):
        check_offsets(replace(problem, overlaps=()), solution.offsets)
    apart = lower(
        model, scheme(update).scope(model), Formats(error="int16"), in_place=in_place, overlap=False
    )
    assert not apart.problem().overlaps
    assert solution.height <= PLANNERS["best"](apart.problem()).height


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("split", ["stem", "a.expand", "a.depthwise", "a.project"])
def test_patches_compute_exactly_the_whole_image(count, split):
    model = small_network(5)
    runs = [train(model, "last-2", Formats(), arena=True, patches=p) for p in (None, Patches(count, split))]
    assert same(*runs)


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("pixels", [1, 5, 8])
def test_a_picture_enlarged_in_patches_is_the_picture_enlarged(count, pixels):
    model = enlarging(small_network(5), pixels)
    runs = [
        train(model, "last-2", Formats(), arena=True, patches=p) for p in (None, Patches(count, "a.project"))
    ]
    assert same(*runs)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000),
    side=st.sampled_from([8, 9, 13, 16]),
    count=st.integers(2, 3),
    update=st.sampled_from(["head", "last-2"]),
    split=st.sampled_from(["stem", "a.depthwise", "a.project"]),
    in_place=st.booleans(),
)
def test_invariant_6_patches_and_in_place_never_change_a_bit(seed, side, count, update, split, in_place):
    model = small_network(seed, side=side)
    x = np.random.default_rng(seed).integers(-128, 128, (1, side, side, 3)).astype(np.int8)
    losses = []
    for patches, place in ((None, False), (Patches(min(count, -(-side // 4)), split), in_place)):
        if patches is not None and patches.count < 2:
            continue
        step = lower(model, scheme(update).scope(model), Formats(), patches=patches, in_place=place)
        solution = PLANNERS["best"](step.problem())
        buffers = ArenaBuffers(step, solution.offsets, Arena(solution.height))
        program = Program(step, buffers, State.of(model, step.scope, Formats()), Sgd(), poison=True)
        program.load(scheme(update).select(model, 0, 0))
        losses.append([program.run(x, 1), program.run(x, 2)])
    assert all(other == losses[0] for other in losses)


def test_the_tail_from_a_cached_front_equals_the_whole_step():
    model = small_network(6)
    chosen = scheme("last-2")
    step = lower(model, chosen.scope(model), Formats())
    assert step.boundary is not None
    losses = []
    for cached in (False, True):
        program = Program(step, SeparateBuffers(step), State.of(model, step.scope, Formats()), Sgd(lr=0.01))
        program.load(chosen.select(model, 0, 0))
        front = SeparateBuffers(step)
        whole = Program(step, front, State.of(model, step.scope, Formats()), Sgd(lr=0.0))
        whole.load(chosen.select(model, 0, 0))
        for x in INPUTS:
            whole.run(x, 0)
            boundary = front.view(step.boundary).copy()
            losses.append(program.run_tail(boundary, 1) if cached else program.run(x, 1))
    assert losses[:4] == losses[4:]


def test_a_wrong_offset_corrupts_the_result():
    """The test of the test: with two live tensors on top of each other the bits must differ."""
    model = small_network(1)
    step = lower(model, scheme("dense").scope(model), Formats())
    solution = PLANNERS["best"](step.problem())
    offsets = dict(solution.offsets)
    saved = next(t for t in step.tensors.values() if t.role == "feature" and t.buffer in offsets)
    error = next(t for t in step.tensors.values() if t.role == "error" and len(t.lifetime) > 1)
    offsets[saved.buffer] = offsets[error.buffer]
    state = State.of(model, step.scope, Formats())
    arena = Arena(solution.height + 4096)
    program = Program(step, ArenaBuffers(step, offsets, arena), state, Sgd(lr=0.01), seed=3)
    program.load(scheme("dense").select(model, 0, 5))
    right = train(model, "dense", Formats(), arena=False)
    program.run(INPUTS[0], 0)
    program.store()
    assert [program.run(x, i % 4) for i, x in enumerate(INPUTS)] != right[0]


@pytest.mark.parametrize("allocator", sorted(ALLOCATORS))
def test_a_step_runs_the_same_on_a_dynamic_allocator(allocator):
    model = small_network(3)
    step = lower(model, scheme("last-2").scope(model), Formats())
    solution = serve(step.problem(), allocator)
    check_offsets(step.problem(), solution.offsets)
    assert solution.height >= solution.lower_bound
    program = Program(
        step, ArenaBuffers(step, solution.offsets, Arena(solution.height)),
        State.of(model, step.scope, Formats()), Sgd(lr=0.01), seed=3, poison=True,
    )  # fmt: skip
    program.load(scheme("last-2").select(model, 0, 5))
    assert [program.run(x, i) for i, x in enumerate(INPUTS)] == train(
        model, "last-2", Formats(), arena=False
    )[0]


@pytest.mark.parametrize("residency", ["sram", "flash"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_changing_channels_in_place_equals_loading_anew(residency, accumulate):
    model, chosen = small_network(4), scheme("dynamic:ratio=0.1,blocks=2")
    sgd = Sgd(lr=0.01, momentum=0.9, accumulate=accumulate)
    states = []
    for anew in (True, False):
        step = lower(
            model, chosen.scope(model), Formats(weight="int8+res8"), residency=residency, momentum=True,
            accumulate=accumulate,
        )  # fmt: skip
        state = State.of(model, step.scope, Formats(weight="int8+res8"))
        program = Program(step, SeparateBuffers(step), state, sgd, seed=3)
        program.load(chosen.select(model, 0, 5))
        for i, x in enumerate(INPUTS):
            selection = chosen.select(model, i // 2, 5)
            if anew:
                program.store()
                program.load(selection)
            elif i % 2 == 0:
                program.select(selection)
            program.run(x, i)
        program.store()
        states.append(state)
    assert all(np.array_equal(a, states[1].arrays[k]) for k, a in states[0].arrays.items())
