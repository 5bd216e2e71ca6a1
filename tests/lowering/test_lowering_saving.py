"""What is saved for weight gradients, at which pixels, when, and in which bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import small_network

from mcusim.core import Role
from mcusim.graph import Attributes, Op, OpKind
from mcusim.lowering.action import Action
from mcusim.lowering.features import dense_feature_bytes, saved_feature_bytes
from mcusim.lowering.lower import lower
from mcusim.memory.bound import lower_bound
from mcusim.update.formats import Formats
from mcusim.update.patterns import PATTERNS
from mcusim.update.scheme import scheme
from mcusim.update.selection import Scope

PRUNING = [name for name in PATTERNS if name != "whole"]


@st.composite
def scopes(draw, model):
    """Some channels of some layers."""
    dense = scheme("dense").scope(model)
    drawn = {n: draw(st.sampled_from([0, 1, c // 2, c - 1, c]), n) for n, c in dense.channels.items()}
    counts = {n: c for n, c in drawn.items() if c}
    return Scope(counts, tuple(counts), dense.biases)


def saves(step):
    """Return what each op saves: bytes by op name."""
    return {op.source.name: step.tensors[op.writes[0]].bytes for op in step.ops if op.action is Action.SAVE}


@given(st.data(), st.sampled_from(list(PATTERNS)), st.sampled_from([7, 8, 13, 16]), st.booleans())
def test_the_bytes_of_saved_features_are_kept_pixels_times_selected_channels(data, name, side, in_place):
    model = small_network(side=side)
    scope = data.draw(scopes(model))
    step = lower(model, scope, Formats(feature=name), in_place=in_place)
    expected, saved = 0, {}
    for op in model.convolutions:
        _, height, width, channels = model.tensors[op.inputs[0]].shape
        kept, count = PATTERNS[name].kept(height, width), scope.channels.get(op.name, 0)
        expected += kept * count
        if count and kept < height * width:
            assert step.saved_pixels[op.name] == kept
        if count and (count < channels or kept < height * width):
            saved[op.name] = kept * count
    assert saved_feature_bytes(step) == expected
    assert saves(step) == saved
    assert set(step.saved_pixels) <= set(saved)


@given(st.data(), st.sampled_from(PRUNING), st.sampled_from([7, 8, 16]), st.booleans())
def test_pruning_never_raises_the_lower_bound(data, name, side, in_place):
    model = small_network(side=side)
    scope = data.draw(scopes(model))
    whole, pruned = (
        lower_bound(lower(model, scope, Formats(feature=f), in_place=in_place).problem()).bytes
        for f in ("whole", name)
    )
    assert pruned <= whole


@pytest.mark.smoke
def test_a_pruned_input_is_moved_together_in_its_own_bytes():
    model = small_network()
    step = lower(model, scheme("dense").scope(model), Formats(feature="checker"))
    names = [op.name for op in step.ops]
    features = {n: t for n, t in step.tensors.items() if t.role is Role.FEATURE}
    # The block's input is read again by the residual addition; moved only then.
    assert names.index("b.expand:save") == names.index("b.add") + 1
    assert features["saved:b.expand"].buffer == step.tensors["a.project.y"].buffer
    # A depthwise convolution runs in place over its input once the kept half of it is copied.
    assert names.index("b.depthwise:save") == names.index("b.depthwise") - 1
    assert step.tensors["b.depthwise.y"].buffer == step.tensors["b.expand.y"].buffer
    # With stride 2 its output is half as large as the copy would be: moved afterwards.
    assert names.index("a.depthwise:save") == names.index("a.depthwise") + 1
    assert features["saved:a.depthwise"].buffer == step.tensors["a.expand.y"].buffer
    assert not features.keys() & {op.inputs[0] for op in model.convolutions}


def test_the_classifier_and_wide_strides_keep_all_pixels():
    model = small_network(classes=None)
    ops = tuple(
        replace(op, attributes=Attributes(stride=(2, 2))) if op.name == "a.project" else op
        for op in model.ops
    )
    tensors = dict(model.tensors)
    for name, y in model.tensors.items():
        if name in ("a.project.y", "b.expand.y", "b.depthwise.y", "b.project.y", "b.add.y"):
            tensors[name] = replace(y, shape=(1, 2, 2, y.shape[3]))
    strided = replace(model, ops=ops, tensors=tensors)
    step = lower(strided, scheme("dense").scope(strided), Formats(feature="grid-2"))
    assert "a.project" not in step.saved_pixels
    assert "classifier" not in step.saved_pixels
    assert "a.depthwise" in step.saved_pixels
    assert step.tensors["a.depthwise.y"].role is Role.FEATURE


def test_an_input_that_stays_anyway_is_not_pruned():
    model = small_network()
    # A second op learns from the input of b.expand: two halves are no less than the whole.
    twin = Op("twin", OpKind.CONV_2D, ("a.project.y", "twin.w", "twin.b"), "twin.y")
    merge = Op("merge", OpKind.ADD, ("b.expand.y", "twin.y"), "merge.y")
    y = model.tensors["b.expand.y"]
    at = [op.name for op in model.ops].index("b.expand") + 1
    after = replace(model.op("b.depthwise"), inputs=("merge.y", *model.op("b.depthwise").inputs[1:]))
    ops = (*model.ops[:at], twin, merge, after, *model.ops[at + 1 :])
    tensors = {**model.tensors, "twin.y": replace(y, name="twin.y"), "merge.y": replace(y, name="merge.y")}
    for part in "wb":
        tensors[f"twin.{part}"] = replace(model.tensors[f"b.expand.{part}"], name=f"twin.{part}")
    forked = replace(model, ops=ops, tensors=tensors)
    scope = scheme("dense").scope(forked)
    for name, pruned in (("checker", False), ("grid-2", True)):
        step = lower(forked, scope, Formats(feature=name))
        assert ({"b.expand", "twin"} <= set(step.saved_pixels)) is pruned
        assert (step.tensors["a.project.y"].role is Role.FEATURE) is not pruned
        assert "b.project" in step.saved_pixels


@pytest.mark.parametrize("update", ["dense", "last-2", "dynamic:ratio=0.1,blocks=2"])
def test_whole_features_are_saved_as_without_patterns(update):
    model = small_network()
    scope = scheme(update).scope(model)
    step = lower(model, scope, Formats(feature="whole"))
    assert not step.saved_pixels
    for name, count in scope.channels.items():
        x = model.tensors[model.op(name).inputs[0]]
        if count == x.shape[-1]:
            assert f"saved:{name}" not in step.tensors
            assert step.tensors[x.name].role is Role.FEATURE
        else:
            assert step.tensors[f"saved:{name}"].shape == (*x.shape[:-1], count)
            order = [op.name for op in step.ops]
            assert order.index(f"{name}:save") == order.index(name) - 1


def test_pruned_features_of_the_published_network(data_dir):
    from mcusim.files.load import load

    model = load("mbv2-w0.35", classes=10)
    dense = dense_feature_bytes(model)
    figures = {
        ("static:mbv2-138kb", "whole"): 11_904, ("static:mbv2-138kb", "checker"): 5_952,
        ("static:mbv2-138kb", "grid-2"): 2_976, ("last-21", "whole"): 125_568,
        ("last-21", "checker"): 62_784, ("last-21", "grid-2"): 31_392, ("dense", "grid-4"): 60_104,
    }  # fmt: skip
    for (update, name), expected in figures.items():
        step = lower(model, scheme(update).scope(model), Formats(feature=name))
        assert saved_feature_bytes(step) == expected <= dense


@pytest.mark.parametrize("update", ["dense", "dynamic:ratio=0.1,blocks=2"])
def test_pruned_ops_touch_only_what_they_keep(update):
    model = small_network()
    step = lower(model, scheme(update).scope(model), Formats(feature="grid-2"))
    for op in step.ops:
        assert op.work.sram_read == sum(t.read for t in op.traffic)
        assert op.work.sram_written == sum(t.written for t in op.traffic)
        if op.source is None or op.source.name not in step.saved_pixels:
            continue
        count, kept = step.scope.channels[op.source.name], step.saved_pixels[op.source.name]
        moved = {t.tensor: (t.read, t.written) for t in op.traffic}
        if op.action is Action.SAVE:
            assert moved[op.source.inputs[0]] == (kept * count, 0)
            assert moved[f"saved:{op.source.name}"] == (0, kept * count)
        if op.action is Action.GRAD_WEIGHT:
            assert moved[f"saved:{op.source.name}"] == (kept * count, 0)
            y = model.tensors[op.source.output]
            window = model.tensors[op.source.inputs[1]].shape[1]
            pixels = kept if window == 1 else y.shape[1] * y.shape[2]
            seen = count if op.source.kind is OpKind.DEPTHWISE_CONV_2D else y.shape[3]
            assert moved[f"grad:{y.name}"] == (4 * pixels * seen, 0)
            if op.mask is not None:
                assert moved[op.mask] == (pixels * y.shape[3] // 8, 0)
