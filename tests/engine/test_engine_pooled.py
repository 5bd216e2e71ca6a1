"""A convolution and the pool behind it, row by row: the bits of both by themselves, in less room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from arena_steps import train
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pooled_networks import pooled_network

from mcusim.core import BadModel
from mcusim.engine.inference import activations
from mcusim.engine.pooled import bind_pooled
from mcusim.graph import Arithmetic
from mcusim.kernels.forward import forward
from mcusim.kernels.pooled import can_pool, pooled_order, turns
from mcusim.lowering.builder import Builder
from mcusim.lowering.lower import lower, lower_inference
from mcusim.lowering.pooled import emit_pooled, saves_room
from mcusim.memory.arena import Arena
from mcusim.memory.bound import lower_bound
from mcusim.update.formats import Formats
from mcusim.update.scheme import scheme


@st.composite
def networks(draw):
    """Draw windows of any stride, padding and dilation; pools in bands that leave out no row."""
    pair = st.tuples(*(st.integers(1, 3),) * 2)
    window, kernel = draw(pair), draw(pair)
    pads = st.tuples(st.integers(0, 2), st.integers(0, 2))
    within = [st.integers(0, most - 1) for most in kernel]
    depthwise = draw(st.booleans())
    try:
        model = pooled_network(
            seed=draw(st.integers(0, 99)),
            image=(draw(st.integers(3, 11)), draw(st.integers(3, 9)), draw(st.integers(1, 20))),
            window=window, outputs=draw(st.integers(1, 20)), depthwise=depthwise, kernel=kernel,
            convolution={
                "stride": draw(pair), "dilation": draw(st.tuples(*(st.integers(1, 2),) * 2)),
                "padding": (draw(pads), draw(pads)),
            },
            pool={
                "stride": (draw(st.integers(1, kernel[0])), draw(st.integers(1, 3))),
                "padding": tuple((draw(side), draw(side)) for side in within),
            },
            average=draw(st.booleans()), arithmetic=draw(st.sampled_from(list(Arithmetic))),
        )  # fmt: skip
    except BadModel:
        assume(False)
    assume(can_pool(*model.ops[:2], model.tensors))
    return model


class _Places(dict):
    def view(self, name):
        return self[name]


@settings(max_examples=100, deadline=None)
@given(networks(), st.integers(0, 9))
def test_rows_in_overlapping_bytes_are_the_bits_of_both_ops(model, more):
    conv, pool = model.ops[:2]
    x, y = model.tensors["x"], model.tensors["y"]
    builder = Builder()
    builder.tensor("x", x.shape, "int8", "input")
    emit_pooled(builder, model, conv, pool)
    op = builder.ops[0]
    values = np.random.default_rng(0).integers(-128, 128, x.shape).astype(np.int8)
    below = pooled_order(conv, pool, model.tensors).distance + more
    arena = Arena(below + x.bytes + y.bytes)
    places = _Places(x=arena.view(below, x.shape, np.int8), y=arena.view(0, y.shape, np.int8))
    places[op.writes[1]] = np.empty(builder.drafts[op.writes[1]].shape, np.int8)
    places["x"][...] = values
    bind_pooled(op, model, places, lambda part: forward(part, model.tensors, model.arithmetic))()
    assert np.array_equal(places["y"], activations(model, values)["y"])


@settings(max_examples=100, deadline=None)
@given(networks())
def test_the_distance_is_the_least_that_is_safe(model):
    conv, pool = model.ops[:2]
    x, y = (model.tensors[name] for name in "xy")
    line, made = x.bytes // x.shape[1], y.bytes // y.shape[1]
    (size, _, window, stride, dilation, _), least = _rows(model), 0
    reads = []
    for turn in turns(conv, pool, model.tensors):
        rows = range(0)
        if turn.convolution is not None:  # the taps of its rows that lie in the image
            above = turn.convolution.attributes.padding[0][0]
            count = turn.held - turn.keep
            taps = {
                turn.first - above + i * stride + k * dilation for i in range(count) for k in range(window)
            }
            rows = sorted(t for t in taps if 0 <= t < size)
        reads.append(rows)
    for row in range(y.shape[1]):
        later = [t for rows in reads[row + 1 :] for t in rows]
        if later:
            least = max(least, (row + 1) * made - min(later) * line)
    assert pooled_order(conv, pool, model.tensors).distance >= least
    if all(reads) and dilation == 1:
        assert pooled_order(conv, pool, model.tensors).distance == least


def _rows(model):
    from mcusim.kernels.reach import axes

    return axes(model.ops[0], model.tensors)[0]


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("arithmetic", list(Arithmetic))
def test_a_step_in_the_arena_learns_the_same_with_and_without(average, arithmetic):
    model = pooled_network(average=average, arithmetic=arithmetic, outputs=12)
    ways = [(False, False, False), (True, True, True), (True, True, False), (True, False, True)]
    runs = [
        train(model, "head", Formats(), arena=arena, fuse=fuse, overlap=overlap, targets=(0, 1, 2, 0))
        for arena, fuse, overlap in ways
    ]
    for losses, state in runs[1:]:
        assert losses == runs[0][0]
        assert all(np.array_equal(a, state.arrays[k]) for k, a in runs[0][1].arrays.items())


def test_the_tensor_between_does_not_exist_and_no_product_is_computed_twice():
    model = pooled_network(outputs=12)
    fused, apart = (lower_inference(model, fuse=fuse) for fuse in (True, False))
    assert "c" in apart.tensors
    assert "c" not in fused.tensors
    assert [str(op.action) for op in fused.ops[1:3]] == ["pooled", "pool"]
    assert fused.macs() == apart.macs()
    assert lower_bound(fused.problem()).bytes < lower_bound(apart.problem()).bytes - 500
    assert fused.orders  # the pool's output grows over the image
    (band,) = (t for t in fused.tensors.values() if t.name in fused.ops[2].reads)
    assert band.shape == (1, 3, 14, 12)


def test_only_pairs_that_save_room_and_learn_nothing_are_fused():
    def pooled(model, update="head"):
        return sum(op.action == "pooled" for op in lower(model, scheme(update).scope(model)).ops)

    model = pooled_network()
    assert pooled(model) == 1
    assert pooled(model, "dense") == 0
    assert (
        pooled(pooled_network(kernel=(14, 14), pool={"stride": (1, 1)})) == 0
    )  # a band as high as the image
    assert pooled(pooled_network(kernel=(1, 1), pool={"stride": (2, 2)})) == 0  # leaves out rows
    again = replace(model, outputs=(*model.outputs, "c"))
    assert not saves_room(again, *model.ops[:2])
