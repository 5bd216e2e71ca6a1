"""Schemes that choose on the device, and optimisers, give the engine's bytes; the rest is refused by name."""

from __future__ import annotations

import pytest
from emulation_networks import drawn, session
from networks import small_network
from scheme_examples import LEARNING

import mcusim
from mcusim.deployment.tables import tables
from mcusim.emulation.cores import core_named
from mcusim.emulation.twin import run_twin
from mcusim.engine.state import State
from mcusim.planning.placement import for_every_stage
from mcusim.session.stages import Stages
from mcusim.update.policy import POLICIES

MODEL = small_network(side=8)
CHOOSING = {
    "in turn": ("dynamic:ratio=0.3,policy=round-robin,stage=2", {"accumulate": 2}),
    "by norm": ("dynamic:ratio=0.3,policy=gradient-norm,stage=1", {}),
    "by norm of integers": ("dynamic:ratio=0.3,policy=gradient-norm,stage=2,layers=depthwise", {}),
    "in one stream": ("trady:elements=700,stage=1,even=true", {}),
    "within limits": ("trady:elements=2000,ratio=0.3,stage=1,layers=all", {"accumulate": 2}),
    "by error": ("tinyprop:stage=1,s_min=0.1,s_max=0.6,layers=all", {}),
    "by error of integers": ("tinyprop:stage=1,s_min=0.1,s_max=0.6,layers=depthwise", {"momentum": 0.9}),
    "by Fisher information": ("tinytrain:ratio=0.5,stage=1,layers=all", {}),
    "by Fisher information of integers": ("tinytrain:ratio=0.5,channels=0.25,stage=1,layers=depthwise", {}),
    "by chance": ("dynamic:ratio=0.3,policy=importance,stage=1,layers=all", {}),
    "by importance": ("medyate:elements=2000,stage=1,even=true", {}),
    "by importance within limits": ("medyate:elements=2000,stage=1,layers=all", {"accumulate": 2}),
    "second moment": ("dynamic:ratio=0.3", {"second_moment": 0.9}),
    "all of it": ("dynamic:ratio=0.3,policy=gradient-norm", {"second_moment": 0.9, "momentum": 0.8}),
    "summed second moment": ("last-2", {"second_moment": 0.99, "accumulate": 2}),
}  # fmt: skip


def own(update: str, **sgd: object) -> mcusim.Session:
    error = "int16" if "depthwise" in update else "float32"
    return session(MODEL, update, sgd=sgd, formats=mcusim.Formats(error=error))


@pytest.mark.parametrize("name", CHOOSING)
def test_what_the_device_chooses_and_divides_is_what_the_engine_does(name):
    update, sgd = CHOOSING[name]
    made = own(update, **sgd)
    tested = name in ("by norm", "within limits")
    found = run_twin(made.plan(), made.scheme, drawn(MODEL, 4), core_named("cortex-m4"), selftest=tested)
    assert tested is (found.selftest is not None)
    assert found.equal, str(found.first_difference)
    assert found.outside_arena_writes == 0


SIZED = [name for name in CHOOSING if any(word in name for word in ("limits", "error", "Fisher"))]


@pytest.mark.parametrize("name", SIZED)
def test_those_stages_differ_in_size(name):
    made = own(CHOOSING[name][0])
    plan, sizes = made.plan(), set()
    stages = Stages(plan, made.scheme, State.of(MODEL, plan.step.scope, made.settings.formats))
    for x, label, _ in drawn(MODEL, 4):
        program = stages.program(stages.running.state.iteration if stages.running else 0)
        stages.calibrate(x, label)
        program.run(x, label)
        sizes.add(tuple(stages.plan.step.scope.channels.items()))
    assert len(sizes) > 1
    most = for_every_stage(plan, made.scheme).step.scope.channels
    assert all(count <= most[name] for row in sizes for name, count in row)


OTHER = "not written in C"
REFUSED = {
    "zeroth:ratio=0.2": OTHER, "zeroth:ratio=0.2,stage=none,step=2,bias_blocks=0": "perturbs",
}  # fmt: skip


def test_every_scheme_is_written_or_refused_with_the_reason():
    assert {*REFUSED} < {*LEARNING}
    assert {policy for text in LEARNING for policy in POLICIES if policy in text} == {*POLICIES} - {"uniform"}
    for text in LEARNING:
        made = own(text)
        if text in REFUSED:
            with pytest.raises(mcusim.BadModel, match=f"update .*{REFUSED[text]}"):
                tables(for_every_stage(made.plan(), made.scheme), made.scheme)
        else:
            assert tables(for_every_stage(made.plan(), made.scheme), made.scheme).calls
