"""No rewrite, no overlap and no op in place changes a bit of what is learned, by any scheme."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from networks import small_network
from scheme_examples import EXAMPLES, LEARNING

import mcusim

sys.path.insert(0, str(Path(__file__).parents[1] / "simplify"))
from simplify_disguises import disguised, plain

FIRST = [texts[0] for texts in EXAMPLES.values() if texts]
"""One spelling of each scheme: with these every way is tried, with the others all ways together."""
WAYS = (
    {"simplify": "off"}, {"overlap": False}, {"in_place": False}, {"fuse": False},
    {"simplify": "off", "overlap": False, "in_place": False, "fuse": False},
)  # fmt: skip

WRITTEN = "written with work for rewrites"
NETWORKS = {
    WRITTEN: lambda: disguised(plain(small_network(2)), lambda name: True),
    "with an int8 head": lambda: disguised(plain(small_network(3, head="int8")), "pad".__eq__),
}
"""What is written so that rewrites, overlap and ops in place have something to do."""


def learned(model, update, **way):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (6, *model.input.shape[1:]), np.uint8)
    labels = rng.integers(0, model.classes, 6)
    data = mcusim.data.from_arrays(x, labels, x, labels)
    session = mcusim.Session(
        model, "stm32u5a5", update, sgd=mcusim.Sgd(lr=0.01), planner="greedy_by_size", patches="off", **way
    )
    run = session.train(data, limit=4)
    return run.history["loss"].tolist(), run.metric_after, run.model, run.plan


def kind(plan):
    """Return what tells plans apart: ops, overlaps, and blocks that shrink where an op works in place."""
    shrinks = sum(len(block.shrinks) for block in plan.problem.blocks)
    return len(plan.step.ops), len(plan.problem.overlaps), shrinks


@pytest.mark.parametrize(
    ("name", "update"),
    [
        *((WRITTEN, text) for text in LEARNING),
        *((name, text) for name in NETWORKS if name != WRITTEN for text in FIRST if text != "none"),
    ],
)
def test_every_way_to_plan_learns_the_same(name, update):
    model = NETWORKS[name]()
    losses, metric, trained, plan = learned(model, update)
    planned = {kind(plan)}
    whole = update in FIRST and name == WRITTEN
    for way in WAYS if whole else WAYS[-1:]:
        other = learned(model, update, **way)
        assert other[:2] == (losses, metric), way
        assert other[2].same_as(trained), way
        planned.add(kind(other[3]))
    assert len(planned) > (2 if whole and update != "dense" else 1)  # the ways are different plans
    assert not trained.same_as(model)
