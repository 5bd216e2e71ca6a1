"""Inference alone: planned, timed and explained like training, and never trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import small_network

import mcusim
from mcusim.core import BadArgument, Role
from mcusim.explore.compare import compare
from mcusim.graph import Attributes, Op, OpKind, Tensor
from mcusim.graph.validate import validate
from mcusim.lowering.lower import lower_inference
from mcusim.memory.bound import lower_bound
from mcusim.memory.checker import check
from mcusim.planning.timeline import timeline
from mcusim.reporting.diff import diff
from mcusim.update.scheme import SCHEMES

NEEDY = {
    "last": "last-1",
    "static": None,
    "adapters": None,
    "dynamic": "dynamic:ratio=0.2",
    "tinytrain": "tinytrain:ratio=0.2",
}
"""Texts of schemes whose bare name does not suit the small network; the published ones are of others."""
BOARD = mcusim.board("stm32f746")


def plan(model=None, update="none", board=BOARD, **settings):
    return mcusim.Session(model or small_network(), board, update, **settings).plan()


def headless():
    """Return a network that ends in a map of numbers: no classifier to replace, none to train."""
    model = small_network(classes=None)
    ops = model.ops[:-2]
    used = {ops[-1].output, *(n for op in ops for n in (*op.inputs, op.output))}
    tensors = {n: t for n, t in model.tensors.items() if n in used}
    return validate(replace(model, ops=ops, tensors=tensors, outputs=(ops[-1].output,), head=None))


def test_a_plan_of_inference_is_the_forward_pass_and_the_runtime():
    found = plan(patches=None)
    alone = lower_inference(small_network())
    assert found.bound.bytes == lower_bound(alone.problem()).bytes + BOARD.runtime_bytes
    roles = {role for role, count in found.by_role.items() if count}
    assert roles <= {Role.INPUT, Role.ACTIVATION, Role.SCRATCH, Role.RUNTIME}
    assert [op.name for op in found.step.ops] == [op.name for op in alone.ops]
    check(found.problem, found.solution)


def test_flash_holds_every_constant_once_and_nothing_is_written_back():
    model = small_network()
    found = plan(model)
    assert Role.CHECKPOINT not in found.flash.by_role
    constants = sum(t.bytes for t in model.tensors.values() if t.constant)
    by_role = found.flash.by_role
    assert sum(by_role[role] for role in (Role.WEIGHT, Role.BIAS, Role.HEAD)) == constants
    cost = mcusim.Session(model, BOARD, "none").cost(1000)
    assert (cost.write_backs, cost.sessions) == (0, None)


@pytest.mark.parametrize("name", [n for n in SCHEMES if NEEDY.get(n, n)])
def test_no_scheme_needs_less_than_inference(name):
    found = plan(update=NEEDY.get(name, name))
    least = plan()
    assert found.peak_bytes >= least.peak_bytes
    assert found.estimate.total_cycles >= least.estimate.total_cycles
    assert (found.peak_bytes > least.peak_bytes) == found.step.scope.learns


def test_a_network_without_a_classifier_can_be_planned():
    model = headless()
    assert plan(model).fits
    assert plan(model).as_dict()["weights"]["updated"] == 0
    with pytest.raises(BadArgument, match="no head to train"):
        plan(model, "head")


def test_every_output_lives_until_the_end():
    model = headless()
    early = model.ops[2].output
    twice = replace(model, outputs=(model.outputs[0], early))
    step = lower_inference(twice)
    assert {step.tensors[name].lifetime.end for name in twice.outputs} == {len(step.ops)}
    assert lower_inference(model).tensors[early].lifetime.end < len(step.ops)


def test_ops_after_the_logits_belong_to_inference():
    model = small_network()
    tensors = {**model.tensors, "p": Tensor("p", model.output.shape, "float32")}
    softmax = Op("softmax", OpKind.SOFTMAX, model.outputs, "p", Attributes(axes=(1,)))
    model = validate(replace(model, ops=(*model.ops, softmax), tensors=tensors, outputs=("p",)))
    assert plan(model).step.ops[-1].name == "softmax"
    assert "softmax" not in [op.name for op in plan(model, "head").step.ops]


def test_inference_is_compared_explained_and_run_over_hours_like_training():
    alone, learning = compare(small_network(), [BOARD], ["none", "head"]).rows
    assert alone.step_ms.value < learning.step_ms.value
    assert (alone.write_backs, alone.missing) == (None, tuple(m for m in learning.missing))
    hour = timeline(plan(), frames_per_s=10)
    assert hour.as_dict()["write_backs"] == 0
    assert "inferences" in str(hour)
    assert "training steps" in str(timeline(plan(update="head"), frames_per_s=10))
    assert "inference alone" in str(plan())
    assert plan().explain().peak_bytes == plan().peak_bytes
    assert diff(plan(), plan(update="head")).as_dict()


def test_training_nothing_is_refused():
    x, labels = np.zeros((4, 16, 16, 3), np.uint8), np.arange(4)
    data = mcusim.data.from_arrays(x, labels, x, labels)
    with pytest.raises(BadArgument, match=r"update none: learns nothing.*head"):
        mcusim.Session(small_network(), BOARD, "none").train(data)


def test_nothing_is_suggested_that_only_learning_has():
    found = mcusim.Session(small_network(), BOARD, "none").plan(suggest=True)
    assert found.suggestions
    assert not [s for s in found.suggestions if "formats" in s or "residency" in s or "update" in s]
