"""Learning from two forward passes: what is moved, what is estimated, and that all is put back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from arena_steps import images
from networks import small_network

from mcusim.core import BadArgument, BadModel, Kind, Phase, Role, Slot, SlotPart
from mcusim.core.frozen import FrozenDict
from mcusim.data.counter import bits
from mcusim.engine.buffers import SeparateBuffers
from mcusim.engine.program import Program
from mcusim.engine.state import State
from mcusim.graph import Model
from mcusim.kernels import reference
from mcusim.kernels.columns import gather, scatter
from mcusim.kernels.update import draw_seed
from mcusim.lowering.lower import lower
from mcusim.update.formats import Formats
from mcusim.update.optimizer import Sgd
from mcusim.update.scheme import scheme

UPDATE = "zeroth:ratio=0.2,stage=none,step=2"
LABEL, SEED, RATE = 2, 3, 0.02


def with_arrays(model: Model, arrays: dict[str, np.ndarray]) -> Model:
    """Return a network with other constants."""
    tensors = {n: replace(t, data=arrays[n]) if n in arrays else t for n, t in model.tensors.items()}
    return replace(model, tensors=FrozenDict(tensors))


def loss_of(model: Model, x: np.ndarray) -> float:
    """Return the loss of one example, by a step in which only the classifier learns."""
    step = lower(model, scheme("head").scope(model), Formats(), runtime_bytes=100)
    program = Program(step, SeparateBuffers(step), State.of(model, step.scope, Formats()), Sgd(lr=0.0))
    program.load(scheme("head").select(model, 0, 0))
    return program.run(x, LABEL)


def program_of(model: Model, update: str, residency: str, **choices) -> tuple[Program, State]:
    chosen, formats = scheme(update), Formats()
    step = lower(model, chosen.scope(model), formats, residency=residency, runtime_bytes=100)
    state = State.of(model, step.scope, formats)
    program = Program(step, SeparateBuffers(step), state, Sgd(lr=RATE, **choices), seed=SEED, poison=True)
    program.load(chosen.select(model, 0, SEED))
    return program, state


def signs(model: Model, op: str, part: SlotPart, count: int) -> np.ndarray:
    drawn = bits(draw_seed(SEED, model.place(op), part), 11, 0, np.arange(count))
    return np.where(drawn >> np.uint64(63), -1, 1)


@pytest.mark.parametrize("residency", ["sram", "flash"])
def test_a_step_is_that_of_two_networks_with_moved_parameters(residency):
    """The slow twin: both losses by networks that have the moved parameters, the rules slow ones."""
    model, x = small_network(), images()[0]
    selection, scope = scheme(UPDATE).select(model, 0, SEED), scheme(UPDATE).scope(model)
    program, state = program_of(model, UPDATE, residency)
    moved: dict[int, dict[str, np.ndarray]] = {1: {}, -1: {}}
    ways: dict[tuple[str, SlotPart], np.ndarray] = {}
    for name in dict.fromkeys((*selection.channels, *scope.biases)):
        op = model.op(name)
        weight, inputs = model.tensors[op.inputs[1]], model.tensors[op.inputs[0]].shape[-1]
        if name in selection.channels:
            block = gather(op, weight.data, selection.channels[name], inputs).astype(int)
            way = 2 * signs(model, name, SlotPart.WEIGHT, block.size).reshape(block.shape)
            ways[name, SlotPart.WEIGHT] = way
            for side in (1, -1):
                data = weight.data.copy()
                scatter(op, data, selection.channels[name], inputs, np.clip(block + side * way, -127, 127))
                moved[side][op.inputs[1]] = data
        if name in scope.biases:
            bias = model.tensors[op.bias]
            units = model.tensors[op.output].quant.scale.astype(float) / (
                model.tensors[op.inputs[0]].quant.scale.astype(float) * weight.quant.scale
            )
            units = np.maximum(np.rint(2 * units), 1).astype(int)
            way = units * signs(model, name, SlotPart.BIAS, bias.elements)
            ways[name, SlotPart.BIAS] = way
            for side in (1, -1):
                moved[side][op.bias] = (bias.data + side * way).astype(np.int32)
    assert ways
    up, down = (loss_of(with_arrays(model, moved[side]), x) for side in (1, -1))
    assert up != down
    assert program.run(x, LABEL) == down
    program.store()
    for (name, part), way in ways.items():
        op = model.op(name)
        slope = (np.float32(up - down) / (2 * np.abs(way).astype(np.float32)) * np.sign(way)).astype(
            np.float32
        )
        # Over the units twice, times the sign: the same as over twice the way, but for the rounding.
        weighty = part is SlotPart.WEIGHT
        make = reference.weight_rule if weighty else reference.bias_rule
        formats = Formats()
        rule = make(
            op, model.tensors, formats.weight if weighty else formats.bias,
            seed=draw_seed(SEED, model.place(name), part),
        )  # fmt: skip
        value = model.tensors[op.inputs[1] if weighty else op.bias].data.copy()
        kept = state.arrays.get(Slot(name, Kind.RESIDUAL, part))
        extra = None if kept is None else np.zeros_like(kept)
        if weighty:
            rule(value, extra, selection.channels[name], slope, RATE, None, 0.0, 0)
        else:
            rule(value, extra, slope, RATE, None, 0.0, 0)
        np.testing.assert_array_equal(state.arrays[Slot(name, Kind.VALUE, part)], value)
        if extra is not None:
            np.testing.assert_array_equal(kept, extra)


@pytest.mark.parametrize("residency", ["sram", "flash"])
def test_without_a_rate_everything_is_put_back(residency):
    model = small_network()
    program, state = program_of(model, UPDATE, residency, weight_rate=0.0, bias_rate=0.0, head_rate=0.0)
    before = {slot: array.copy() for slot, array in state.arrays.items()}
    losses = [program.run(x, LABEL) for x in images()]
    program.store()
    assert all(np.array_equal(array, before[slot]) for slot, array in state.arrays.items())
    assert len(set(losses)) == len(losses)


def test_a_step_keeps_no_features_masks_or_errors_but_those_of_the_classifier():
    model, of = small_network(), "ratio=0.2,stage=none,blocks=1"
    step, plain = (lower(model, scheme(u).scope(model)) for u in ("zeroth:" + of, "dynamic:" + of))
    roles = [
        {role: sum(t.bytes for t in s.tensors.values() if t.role is role) for role in Role}
        for s in (step, plain)
    ]
    assert roles[0][Role.MASK] == 0
    assert roles[1][Role.MASK] > 0
    assert roles[0][Role.FEATURE] < roles[1][Role.FEATURE]
    assert roles[0][Role.ERROR] < roles[1][Role.ERROR]
    assert max(step.live_profile()) < max(plain.live_profile())
    # Two passes of what is not frozen, and the front once.
    assert plain.macs(Phase.FORWARD) < step.macs(Phase.FORWARD) < 2 * plain.macs(Phase.FORWARD)


def test_what_cannot_be_perturbed_is_refused():
    model = small_network()
    with pytest.raises(BadArgument, match="accumulate"):
        lower(model, scheme(UPDATE).scope(model), accumulate=4)
    with pytest.raises(BadArgument, match="step 0"):
        scheme("zeroth:step=0")
    found = scheme(UPDATE).scope(model)
    with pytest.raises(BadModel, match=r"op 'classifier'.*float32 numbers, and integers of 8 bits"):
        lower(model, replace(found, head=False, biases=(*found.biases, "classifier")))
