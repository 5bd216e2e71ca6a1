"""Lifetimes, roles and figures of lowered steps."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import small_network

from mcusim.core import BadArgument, Kind, Phase, Role, Slot, SlotPart, is_kind
from mcusim.graph import OpKind
from mcusim.lowering.action import Action
from mcusim.lowering.features import dense_feature_bytes, saved_feature_bytes
from mcusim.lowering.flash import checkpoint_bytes
from mcusim.lowering.gradients import Flow, activations, crossings
from mcusim.lowering.lower import lower, lower_inference
from mcusim.lowering.patches import Patches, split_points
from mcusim.memory.bound import lower_bound
from mcusim.memory.checker import check
from mcusim.memory.planners import PLANNERS
from mcusim.update.formats import Formats
from mcusim.update.scheme import scheme
from mcusim.update.selection import Scope

UPDATES = ("head", "bias", "last-2", "dense", "dynamic:ratio=0.1,blocks=2")


@pytest.mark.smoke
@pytest.mark.parametrize("update", UPDATES)
def test_every_tensor_is_live_exactly_while_it_is_used(update):
    model = small_network()
    step = lower(model, scheme(update).scope(model), runtime_bytes=64)
    for time, op in enumerate(step.ops):
        touched = {*op.reads, *op.writes, *(n for n in (op.scratch, op.mask) if n)}
        for name in touched:
            tensor = step.tensors[name]
            begins_after = tensor.buffer != name and tensor.lifetime.start == time + 1
            assert time in tensor.lifetime or begins_after, (op.name, name)
    for tensor in step.tensors.values():
        if tensor.name not in step.resident and len(tensor.lifetime):
            last = step.ops[tensor.lifetime.end - 1]
            touched = (*last.reads, *last.writes, last.scratch, last.mask)
            assert tensor.name in touched, tensor


@pytest.mark.parametrize("update", UPDATES)
def test_the_sum_of_roles_is_the_sum_of_blocks_at_every_op(update):
    model = small_network()
    step = lower(model, scheme(update).scope(model), runtime_bytes=64)
    blocks = list(step.blocks())
    pairs = step.problem().pairs
    assert bool(pairs) == (update != "dense")  # where everything learns, everything is kept
    for time, live in enumerate(step.live_profile()):
        shared = sum(pair.most(step.problem().align) for pair in pairs if pair.time == time)
        blocks_live = sum(b.bytes_at(time) for b in blocks)
        assert sum(step.live_bytes(time).values()) == live == blocks_live - shared


def test_only_what_learns_has_a_gradient():
    model = small_network()
    step = lower(model, scheme("last-2").scope(model))
    backward = [op.source.name for op in step.ops if op.action is Action.GRAD_WEIGHT]
    assert backward == ["classifier", "b.project", "b.depthwise"]
    inputs = [op.source.name for op in step.ops if op.action is Action.GRAD_INPUT]
    assert "b.depthwise" not in inputs
    assert "b.expand" not in inputs
    assert step.boundary is not None


def test_the_input_gradient_sees_the_weights_of_the_forward_pass():
    model = small_network()
    step = lower(model, scheme("dense").scope(model))
    order = {op.name: i for i, op in enumerate(step.ops)}
    assert order["b.project:grad_input"] < order["b.project:grad_weight"]


def test_saving_every_channel_costs_no_copy():
    model = small_network()
    step = lower(model, scheme("dense").scope(model))
    assert not [op for op in step.ops if op.action is Action.SAVE]
    assert saved_feature_bytes(step) == dense_feature_bytes(model)


def test_formats_cost_what_they_say():
    model = small_network()
    scope = scheme("last-2").scope(model)

    def resident(role, **formats):
        step = lower(model, scope, Formats(**formats))
        return sum(step.tensors[n].bytes for n in step.resident if step.tensors[n].role is role)

    weights = sum(model.tensors[model.op(n).inputs[1]].elements for n in scope.eligible)
    channels = 2 * sum(scope.channels.values())
    assert resident(Role.WEIGHT, weight="int8-sr") == weights + channels
    assert resident(Role.WEIGHT, weight="int8+res8") == 2 * weights + channels
    assert resident(Role.WEIGHT, weight="float32") == 5 * weights + channels
    biases = sum(model.tensors[model.op(n).bias].elements for n in scope.biases)
    assert resident(Role.BIAS, bias="int32") == 4 * biases
    assert resident(Role.BIAS, bias="int32+res8") == 5 * biases
    errors = [
        sum(t.bytes for t in lower(model, scope, Formats(error=e)).tensors.values()
            if t.role is Role.ERROR and t.dtype != "float32")
        for e in ("int16", "int8")
    ]  # fmt: skip
    assert errors[0] == 2 * errors[1] > 0


def test_flash_residency_keeps_only_selected_channels_in_sram():
    model = small_network()
    scope = scheme("dynamic:ratio=0.1,blocks=2").scope(model)
    sram, flash = (lower(model, scope, residency=r) for r in ("sram", "flash"))

    def weights(step):
        return sum(
            step.tensors[n].bytes
            for n in step.resident
            if is_kind(n, Kind.VALUE) and n.part is SlotPart.WEIGHT and n.of != model.head
        )

    assert weights(flash) == scope.weights_updated(model) < weights(sram)
    assert checkpoint_bytes(sram) == checkpoint_bytes(flash)


def test_accumulation_keeps_gradients_and_updates_last():
    model = small_network()
    step = lower(model, scheme("last-2").scope(model), accumulate=4, momentum=True)
    assert any(t.role is Role.GRADIENT for t in step.tensors.values())
    assert any(t.role is Role.OPTIMIZER for t in step.tensors.values())
    assert [op.phase for op in step.ops if op.action is Action.UPDATE] == [Phase.UPDATE] * 6
    with pytest.raises(BadArgument):
        lower(model, scheme("head").scope(model), accumulate=0)


@given(st.data())
def test_invariant_7_a_sparser_selection_never_raises_the_lower_bound(data):
    model = small_network()
    full = scheme("dense").scope(model)
    more = {n: data.draw(st.integers(0, c), n) for n, c in full.channels.items()}
    less = {n: data.draw(st.integers(0, c), f"{n} sparser") for n, c in more.items()}
    keep = data.draw(st.integers(0, len(full.biases)))

    def bound(counts, biases):
        counts = {n: c for n, c in counts.items() if c}
        step = lower(model, Scope(counts, tuple(counts), biases), residency="flash")
        return lower_bound(step.problem()).bytes

    assert bound(less, full.biases[keep:]) <= bound(more, full.biases)


def test_patches_lower_the_peak_and_count_what_they_recompute():
    model = small_network(side=32)
    scope = scheme("head").scope(model)
    whole = lower(model, scope, overlap=False)
    cut = lower(model, scope, patches=Patches(2, "a.depthwise"), overlap=False)
    assert lower_bound(cut.problem()).bytes < lower_bound(whole.problem()).bytes
    assert cut.patch_macs == cut.macs(Phase.FORWARD) - whole.macs(Phase.FORWARD) > 0
    assert split_points(model, Flow.of(model, scope, None))[:3] == [
        "stem",
        "a.expand",
        "a.depthwise",
    ]


def test_what_crosses_is_what_was_made_before_and_is_read_behind():
    model = small_network()
    sizes = set()
    for count, found in enumerate(crossings(model, model.ops), start=1):
        made = {model.inputs[0], *(op.output for op in model.ops[:count])}
        assert found == {n for op in model.ops[count:] for _, n in activations(model, op) if n in made}
        sizes.add(len(found))
    assert sizes == {0, 1, 2}


def test_a_patch_stage_that_cannot_be_is_refused():
    model = small_network()
    with pytest.raises(BadArgument, match="possible: stem"):
        lower(model, scheme("last-2").scope(model), patches=Patches(2, "b.project"))
    with pytest.raises(BadArgument, match="2 to 8"):
        lower(model, scheme("head").scope(model), patches=Patches(9, "stem"))


@pytest.mark.data
def test_published_figures_of_mobilenet(data_dir):
    from mcusim.files.load import load

    model = load("mbv2-w0.35", classes=10)
    assert model.conv_weights == 238_688
    assert dense_feature_bytes(model) == 961_664
    cases = {(True, False): 229_376, (False, False): 245_760, (True, True): 196_608, (False, True): 196_608}
    for (in_place, overlap), expected in cases.items():
        step = lower_inference(model, in_place=in_place, overlap=overlap)
        working = [
            sum(b for r, b in step.live_bytes(t).items() if r in (Role.INPUT, Role.ACTIVATION))
            for t in range(len(step.ops))
        ]
        assert max(working) == expected
    chosen = scheme("dynamic").scope(model)
    assert chosen.weights_updated(model) <= 4_773


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "weights", "dense", "peak", "overlapping"),
    [
        ("proxyless-w0.3", 320_816, 802_816, 131_072, 99_096),
        ("mcunet-5fps", 463_216, 846_592, 163_840, 131_072),
    ],
)
def test_published_figures_of_the_other_networks(data_dir, name, weights, dense, peak, overlapping):
    from mcusim.files.load import load

    model = load(name, classes=10)
    assert (model.conv_weights, dense_feature_bytes(model)) == (weights, dense)
    for overlap, expected in ((False, peak), (True, overlapping)):
        step = lower_inference(model, overlap=overlap)
        working = max(
            sum(b for r, b in step.live_bytes(t).items() if r in (Role.INPUT, Role.ACTIVATION))
            for t in range(len(step.ops))
        )
        assert working == expected
    solution = PLANNERS["best"](step.problem())
    check(step.problem(), solution)
    assert solution.height == lower_bound(step.problem()).bytes == overlapping
    assert any(op.kind is OpKind.MEAN for op in model.ops)


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("choices", [{}, {"residency": "flash"}, {"accumulate": 4, "momentum": True}])
def test_touched_bytes_are_those_counted_and_lie_in_the_ops_tensors(update, choices):
    model = small_network()
    step = lower(model, scheme(update).scope(model), Formats(weight="int8+res8"), **choices)
    for op in step.ops:
        assert op.work.sram_read == sum(t.read for t in op.traffic)
        assert op.work.sram_written == sum(t.written for t in op.traffic)
        assert op.work.flash_read >= 0
        for touch in op.traffic:
            assert touch.tensor in {*op.reads, *op.writes, op.scratch, op.mask}
            assert max(touch.read, touch.written) <= step.tensors[touch.tensor].bytes
    assert not step.ops[0].traffic  # DMA brings the input


def test_constants_are_read_where_they_lie():
    model = small_network()
    scope = scheme("dynamic:ratio=0.1,blocks=2").scope(model)
    frozen = {op.name: op.work for op in lower_inference(model).ops}
    for residency in ("sram", "flash"):
        step = lower(model, scope, residency=residency)
        for op in step.ops:
            if op.action is Action.FORWARD and op.source is not None:
                own = sum(t.read for t in op.traffic if is_kind(t.tensor, Kind.VALUE))
                assert op.work.flash_read + own == frozen[op.name].flash_read
    bias = next(op for op in lower(model, scheme("bias").scope(model)).ops if op.name == "b.project")
    held = model.tensors[model.op("b.project").bias].bytes
    assert frozen["b.project"].flash_read - bias.work.flash_read == held


def test_selected_channels_touch_their_share():
    model = small_network()
    step = lower(model, scheme("dynamic:ratio=0.1,blocks=2").scope(model), momentum=True)
    seen = 0
    for op in step.ops:
        if op.action is Action.GRAD_WEIGHT and op.source.name != model.head:
            count = step.scope.channels[op.source.name]
            weight = model.tensors[op.source.inputs[1]]
            depthwise = op.source.kind is OpKind.DEPTHWISE_CONV_2D
            channels = model.tensors[op.source.inputs[0]].shape[-1] if depthwise else weight.shape[-1]
            moved = {t.tensor: (t.read, t.written) for t in op.traffic}
            share = weight.elements * count // channels
            assert moved[Slot(op.source.name, Kind.VALUE, SlotPart.WEIGHT)] == (share, share)
            assert moved[Slot(op.source.name, Kind.MOMENTUM, SlotPart.WEIGHT)] == (4 * share, 4 * share)
            assert moved[Slot(op.source.name, Kind.CHANNELS)] == (2 * count, 0)
            seen += 1
    assert seen


def test_optimisers_and_accumulation_cost_float_operations_for_every_learning_number():
    model = small_network()
    scope = scheme("last-2").scope(model)

    def float_ops(**choices: object) -> int:
        return sum(op.work.float_ops for op in lower(model, scope, **choices).ops)

    plain = lower(model, scope)
    learning = sum(prod(tensor.shape) for name, tensor in plain.tensors.items() if is_kind(name, Kind.VALUE))
    assert float_ops(momentum=True) - float_ops() == 2 * learning
    assert float_ops(second_moment=True) - float_ops() == 7 * learning
    assert float_ops(accumulate=4) - float_ops() == learning
