"""Networks that keep state learn from sequences: the same bits in the arena and in batches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from arena_steps import train
from stream_network import streaming

import mcusim
from mcusim.core import BadArgument, BadData, BadModel, Role
from mcusim.data import from_arrays
from mcusim.engine.buffers import SeparateBuffers
from mcusim.engine.inference import Inference
from mcusim.engine.program import Program
from mcusim.engine.state import State
from mcusim.files.tflite.reader import parse_tflite
from mcusim.graph import Model
from mcusim.graph.head import replace_head
from mcusim.graph.outputs import with_outputs
from mcusim.graph.validate import validate
from mcusim.lowering.gradients import Flow
from mcusim.lowering.lower import lower, lower_inference
from mcusim.simplify.simplify import simplified
from mcusim.update.formats import Formats
from mcusim.update.optimizer import Sgd
from mcusim.update.scheme import scheme

pytest.importorskip("flatbuffers")
RNG = np.random.default_rng(1)
X = RNG.integers(-128, 128, (24, 5, 2, 1, 4)).astype(np.int8)
Y = (X[:, -3:].mean((1, 2, 3, 4)) > 0).astype(np.int64)


def network() -> Model:
    """Return the streaming network."""
    return parse_tflite(streaming(np.random.default_rng(3)).bytes(), "stream.tflite")


def test_the_arena_equals_separate_buffers_bit_for_bit():
    one, other = (
        train(network(), "head", Formats(), arena=arena, x=X[:4], targets=Y[:4].tolist())
        for arena in (True, False)
    )
    assert one[0] == other[0]
    assert all(np.array_equal(array, other[1].arrays[slot]) for slot, array in one[1].arrays.items())


def test_a_step_on_a_sequence_equals_the_front_in_batches_and_the_tail():
    model, formats, chosen = network(), Formats(), scheme("head")
    step = lower(model, chosen.scope(model), formats)
    flow = Flow.of(model, step.scope, step.goals)
    features = Inference(model, flow.ops[: flow.front]).run(X[:6])
    found = []
    for whole in (True, False):
        state = State.of(model, step.scope, formats)
        program = Program(step, SeparateBuffers(step), state, Sgd(lr=0.1), seed=2)
        program.load(chosen.select(model, 0, 0))
        program.calibrate(features[0][None], 0, tail=True)
        losses = [
            program.run(x, y) if whole else program.run_tail(row, y)
            for x, row, y in zip(X, features, Y.tolist(), strict=False)
        ]
        program.store()
        found.append((losses, state))
    assert found[0][0] == found[1][0]
    assert all(np.array_equal(array, found[1][1].arrays[s]) for s, array in found[0][1].arrays.items())
    changed = [array for slot, array in found[0][1].arrays.items() if array.ndim == 2]
    assert not np.array_equal(changed[0], model.tensors["dense"].data)


def test_states_are_in_the_account_all_the_time():
    plan = mcusim.plan(network(), "stm32f746", "head")
    held = [t for t in plan.step.tensors.values() if t.role is Role.STATE]
    assert plan.by_role[Role.STATE] == sum(t.bytes for t in held) == 2 * 4 + 3 * 3
    assert all(len(t.lifetime) == len(plan.step.ops) for t in held)
    writes = {name for op in plan.step.ops for name in op.writes}
    assert {t.name for t in held} <= writes
    # The ring that begins with other than one number has its first values in flash.
    flash = {item.name: item.bytes for item in plan.flash.items}
    assert flash["second_read/initial"] == 9
    assert "first_read/initial" not in flash
    assert lower_inference(network()).resident == {"first_read", "second_read"}


def test_it_trains_and_is_judged_by_sequences():
    session = mcusim.Session(network(), "stm32f746", "head", sgd=Sgd(lr=0.05))
    run = session.train(from_arrays(X, Y), epochs=2)
    losses = list(run.history["loss"])
    assert losses[-1] < losses[0]
    trained = run.model
    assert [s.name for s in trained.states] == ["first_read", "second_read"]
    shares = mcusim.predict(trained, X)
    longer = np.concatenate([X[:, :1], X], axis=1)
    assert shares.shape == (24, 2)
    # Five invocations are as far back as both windows look.
    assert np.array_equal(mcusim.predict(trained, longer), shares)
    assert not np.array_equal(mcusim.predict(trained, X[:, -1:]), shares)


def test_single_moments_are_refused_with_what_to_give():
    with pytest.raises(BadData, match=r"single moments.*give sequences, n x times x 2 x 1 x 4"):
        mcusim.predict(network(), X[:, 0])
    with pytest.raises(BadData, match="single moments"):
        mcusim.Session(network(), "stm32f746", "head").train(from_arrays(X[:, 0], Y))


def test_what_would_learn_through_states_is_refused():
    with pytest.raises(BadModel, match=r"state 'first_read'.*where layers learn.*head for example"):
        mcusim.plan(network(), "stm32f746", "dense")
    with pytest.raises(BadArgument, match="keep latents"):
        mcusim.plan(network(), "stm32f746", "head", replay="raw:4")
    with pytest.raises(BadModel, match=r"keeps state .*cannot be pruned"):
        mcusim.prune(network(), 0.5)
    with pytest.raises(BadModel, match=r"keeps state, and what it takes is a sequence"):
        mcusim.plan(network(), "stm32f746", "head", task="reconstruction")


def test_parts_of_it_keep_what_they_need():
    model = network()
    assert replace_head(model, 5).states == model.states
    first = with_outputs(replace(model, outputs=("conv", "shares")), ("conv",))
    assert [s.name for s in first.states] == ["first_read"]
    assert "second_read" not in first.tensors
    simple = simplified(model)
    assert simple.model.states == model.states
    assert np.array_equal(Inference(simple.model).run(X), Inference(model).run(X))


def test_states_in_a_chain_move_in_turn_and_in_a_circle_not_at_all():
    """A line of delays: one state takes the value of the next before that takes a new one."""
    model = network()
    tensors = dict(model.tensors)
    for name in ("early", "early/initial"):
        source = tensors["first_read/initial" if name.endswith("l") else "first_read"]
        tensors[name] = replace(source, name=name)
    first = model.states[0]
    line = replace(first, after="early"), replace(first, name="early", initial="early/initial")
    delayed = validate(replace(model, tensors=tensors, states=(*line, model.states[1])))
    moves = [op.writes[0] for op in lower_inference(delayed).ops if op.action == "keep"]
    assert moves.index("first_read") < moves.index("early")
    step = lower(delayed, scheme("head").scope(delayed), Formats())
    program = Program(step, SeparateBuffers(step), State.of(delayed, step.scope, Formats()), Sgd())
    program.load(scheme("head").select(delayed, 0, 0))
    program._give(X[0])
    program._seen()
    flow = Flow.of(delayed, step.scope, step.goals)
    mine = program.buffers.view(flow.boundary)
    assert np.array_equal(mine, Inference(delayed, flow.ops[: flow.front])(X[:1]))
    states = (line[0], replace(line[1], after="first_read"), model.states[1])
    circle = replace(delayed, states=states, outputs=(*model.outputs, "first_last"), head=None)
    with pytest.raises(BadModel, match="takes the value of a state that takes its own"):
        validate(circle)
