"""Schemes that choose on the device, or perturb, and optimisers give the engine's bytes."""

from __future__ import annotations

import pytest
from emulation_networks import drawn, session
from networks import deep_network, small_network
from scheme_examples import ELSEWHERE, EXAMPLES, LEARNING
from tasks_networks import case

import mcusim
from mcusim.data.arrays import from_arrays
from mcusim.deployment.tables import tables
from mcusim.emulation.cores import core_named
from mcusim.emulation.twin import run_twin
from mcusim.emulation.verb import twin_of
from mcusim.engine.state import State
from mcusim.planning.placement import for_every_stage
from mcusim.session.stages import Stages
from mcusim.update import SCHEMES
from mcusim.update.adapters import add_adapters
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

STARTING = {
    **{name: 0.8 for name, (update, _) in CHOOSING.items() if "stage=1" in update},
    "within limits": 0.5,  # where what is left buys only channels that are larger than the cheapest
    "by Fisher information of integers": 0.2,  # after all was looked at, which takes more
    "by importance within limits": 0.05,  # as long as little was observed
}
"""How much of the instructions that a stage is said to take at most the last step executes to begin one."""


def own(update: str, **sgd: object) -> mcusim.Session:
    error = "int16" if "depthwise" in update else "float32"
    return session(MODEL, update, sgd=sgd, formats=mcusim.Formats(error=error))


@pytest.mark.parametrize("name", CHOOSING)
def test_what_the_device_chooses_and_divides_is_what_the_engine_does(name):
    update, sgd = CHOOSING[name]
    made = own(update, **sgd)
    tested = name in ("by norm", "within limits")
    steps = 3 if "accumulate" in sgd else 4  # the last one begins a stage
    found = run_twin(made.plan(), made.scheme, drawn(MODEL, steps), core_named("cortex-m4"), selftest=tested)
    assert tested is (found.selftest is not None)
    assert found.equal, str(found.first_difference)
    assert found.outside_arena_writes == 0
    if name in STARTING:
        executed = sum(dict(found.op_instructions)["load"])
        modelled = made.scheme.cost(made.plan().step.model).stage.int_ops
        assert STARTING[name] * modelled < executed < 1.3 * modelled


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


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7"])
@pytest.mark.parametrize("update", EXAMPLES["zeroth"])
@pytest.mark.parametrize("sgd", [{}, {"momentum": 0.9, "second_moment": 0.9}], ids=["plain", "moments"])
def test_two_passes_without_a_backward_one_give_the_same_bytes(update, core, sgd):
    made = session(MODEL, update, sgd=sgd)
    found = run_twin(made.plan(), made.scheme, drawn(MODEL, 4), core_named(core), selftest=bool(sgd))
    assert found.equal, str(found.first_difference)
    assert found.outside_arena_writes == 0


@pytest.mark.parametrize("name", ["classification", "segmentation", "regression", "multi-label"])
def test_two_passes_of_every_loss_give_the_same_bytes(name):
    model, inputs, targets = case(name)
    made = session(model, "zeroth:ratio=0.5,stage=1,layers=all,blocks=9", task=name, smoothing=0.0)
    data = from_arrays(inputs, targets, inputs, targets)
    found = twin_of(made, data, 3, core="cortex-m4")
    assert found.equal, str(found.first_difference)


OWN = {
    "static": lambda: session(deep_network(42), "static:mcunet-49kb"),
    "adapters": lambda: session(add_adapters(MODEL, 2), "adapters:biases=2"),
}
"""Schemes for networks of their own."""


def test_every_scheme_has_a_firmware():
    assert {policy for text in LEARNING for policy in POLICIES if policy in text} == {*POLICIES} - {"uniform"}
    made = [own(text) for text in LEARNING] + [OWN[name]() for name in ELSEWHERE]
    assert {one.scheme.name.partition(":")[0].partition("-")[0] for one in made} == {*SCHEMES.names()} - {
        "none"
    }
    for one in made:
        assert tables(for_every_stage(one.plan(), one.scheme), one.scheme).calls
