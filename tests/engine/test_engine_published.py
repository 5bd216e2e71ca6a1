"""The arena on the real network: every kind of scheme, the published static configurations among them."""

from __future__ import annotations

import numpy as np
import pytest

import mcusim
from mcusim.engine.buffers import ArenaBuffers, SeparateBuffers
from mcusim.engine.program import Program
from mcusim.engine.state import State
from mcusim.memory.arena import Arena

UPDATES = (
    "static:mbv2-49kb",
    "static:mbv2-138kb",
    "dynamic",
    "last-6",
    "bias-12",
    "trady:even=true",
)


@pytest.mark.data
@pytest.mark.parametrize("update", UPDATES)
def test_a_step_of_mobilenet_in_256_kib_equals_separate_buffers(data_dir, update):
    model = mcusim.load("mbv2-w0.35", classes=10)
    session = mcusim.Session(model, mcusim.board("stm32f746"), update=update, sram="256KiB")
    plan = session.plan()
    assert plan.fits
    x = np.random.default_rng(0).integers(-128, 128, (2, *model.input.shape)).astype(np.int8)
    found = []
    for buffers in (
        ArenaBuffers(plan.step, plan.solution.offsets, Arena(262_144)),
        SeparateBuffers(plan.step),
    ):
        state = State.of(model, plan.step.scope, plan.settings.formats)
        program = Program(plan.step, buffers, state, mcusim.Sgd(lr=1e-3), seed=2, poison=True)
        program.load(session.scheme.select(model, 0, 0))
        losses = [program.run(image, label) for label, image in enumerate(x)]
        program.store()
        found.append((losses, state.arrays))
    assert found[0][0] == found[1][0]
    assert all(np.array_equal(a, found[1][1][k]) for k, a in found[0][1].items())
