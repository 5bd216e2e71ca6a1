"""Samples in, and every tensor of the firmware has the engine's bits: what a front end makes of them too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from emulation_networks import session
from networks import small_network

import mcusim
from mcusim.core import BadData
from mcusim.data import Dataset, FrontEnd, Split
from mcusim.emulation.verb import twin_of
from mcusim.graph import Quant

FRONTS = {
    "log-mel:rate=2000,bands=16,high=1000": "cortex-m4",
    "mfcc:rate=2000,bands=20,coefficients=16,high=900,peak=false": "cortex-m7",
    "mfcc:rate=1500,bands=24,coefficients=16,high=700,window=40": "cortex-m0+",
    "log-mel:rate=4000,bands=16,high=2000,window=16,hop=16": "rv32imfc",
}


def sounds(front: FrontEnd) -> Dataset:
    """Return loud and quiet tones, noise, and silence."""
    rng, length = np.random.default_rng(0), front.samples(16) + 7
    labels = np.arange(8) % 4
    tones = np.sin(np.arange(length) * (0.2 + 0.4 * labels[:, None])) + rng.normal(0, 0.1, (8, length))
    tones *= np.geomspace(0.9, 1e-4, 8)[:, None]
    tones[5] = 0
    samples = tones.astype(np.float32)
    samples[0, 3] = -1
    split = Split(samples, labels)
    return Dataset(split, split, tuple("abcd"), "tones")


def network(scale: float = 0.1, zero: int = 20) -> mcusim.Model:
    """Return a network whose input holds what a front end gives."""
    model = small_network(channels=1)
    x = replace(model.input, quant=Quant.of(scale, zero))
    return replace(model, tensors={**model.tensors, x.name: x})


@pytest.mark.parametrize("text", FRONTS)
def test_of_samples_the_firmware_makes_the_engines_input(text: str) -> None:
    own = session(network(), "last-1", front_end=text, patches=None)
    found = twin_of(own, sounds(FrontEnd.read(text)), 4, core=FRONTS[text], selftest="m4" in FRONTS[text])
    assert found.equal, str(found.first_difference)
    assert found.outside_arena_writes == 0


def test_frames_are_kept_and_learned_again() -> None:
    text = next(iter(FRONTS))
    own = session(network(), "last-1", front_end=text, replay="raw:3", patches=None)
    found = twin_of(own, sounds(FrontEnd.read(text)), 8, core="cortex-m4")
    assert found.equal, str(found.first_difference)


def test_a_step_that_hears_learns_what_one_learns_from_frames() -> None:
    from mcusim.emulation.verb import examples
    from mcusim.engine.buffers import SeparateBuffers
    from mcusim.engine.program import Program
    from mcusim.engine.state import State

    text = next(iter(FRONTS))
    front = FrontEnd.read(text)
    data = sounds(front)
    own = session(network(), "dense", front_end=text, patches=None)
    plan = own.plan_for(front.apply(data))
    state = State.of(plan.step.model, plan.step.scope, plan.settings.formats)
    program = Program(plan.step, SeparateBuffers(plan.step), state, plan.settings.sgd, hears=True)
    program.load(own.scheme.select(plan.step.model, 0, 0))
    for x, target, _ in examples(plan, data, 8):
        program.run(x, target)
    program.store()
    run = own.train(data, epochs=1, schedule="constant", trace="off", evaluate="end", validation=0.0)
    assert state.trained().same_as(run.model)


def test_frames_instead_of_sounds_are_refused() -> None:
    text = next(iter(FRONTS))
    front = FrontEnd.read(text)
    own = session(network(), "last-1", front_end=text, patches=None)
    with pytest.raises(BadData, match=r"holds what log-mel:.* has made \(give the sounds"):
        twin_of(own, front.apply(sounds(front)), 1)
