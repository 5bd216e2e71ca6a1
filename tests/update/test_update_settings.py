from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import BadArgument, SlotPart, UnknownName
from mcusim.update import Formats, Schedule, Sgd


@pytest.mark.parametrize(
    ("formats", "error", "weight", "bias"),
    [
        (Formats(), 4, 1, 4),
        (Formats(error="int16", weight="int8", bias="int32-sr"), 2, 1, 4),
        (Formats(error="int8", weight="int8+res8", bias="int32+res8"), 1, 2, 5),
        (Formats(weight="float32"), 4, 5, 4),
    ],
)
def test_bytes_of_formats(formats, error, weight, bias):
    kept = formats.parameter(SlotPart.WEIGHT, "int8"), formats.parameter(SlotPart.BIAS, "int32")
    assert (formats.errors.bytes, *(f.bytes for f in kept)) == (error, weight, bias)
    for part in SlotPart:
        assert formats.parameter(part, "float32").bytes == 4


@pytest.mark.parametrize(
    "wrong", [{"error": "int88"}, {"weight": "int8-rs"}, {"head": "int4"}, {"bias": "int8"}]
)
def test_unknown_formats_suggest_the_nearest(wrong):
    with pytest.raises(UnknownName, match=next(iter(wrong))):
        Formats(**wrong)


def test_sgd_says_what_it_keeps():
    assert (Sgd().optimizer_bytes, Sgd().gradient_bytes) == (0, 0)
    assert Sgd(momentum=0.9, second_moment=0.999).optimizer_bytes == 8
    assert (Sgd(momentum=0.9).optimizer_bytes, Sgd(accumulate=8).gradient_bytes) == (4, 4)
    assert Sgd(layer_rates={"a": 2.0}).layer_rate("a") == 2
    assert Sgd().layer_rate("a") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": -1},
        {"lr": math.nan},
        {"lr": math.inf},
        {"weight_rate": -0.1},
        {"layer_rates": {"a": math.inf}},
        {"momentum": 1.0},
        {"momentum": -0.1},
        {"accumulate": 0},
        {"accumulate": 1.5},
    ],
)
def test_senseless_settings_are_refused(wrong):
    with pytest.raises(BadArgument):
        Sgd(**wrong)


@given(st.integers(1, 2000), st.data())
def test_the_schedule_is_a_warm_up_and_a_cosine(steps, data):
    warmup = data.draw(st.integers(0, steps))
    step = data.draw(st.integers(0, 2 * steps))
    schedule = Schedule(steps, warmup, floor=0.1, start=0.05)
    if step < warmup:
        expected = 0.05 + 0.95 * step / warmup
    else:
        turn = min((step - warmup) / max(steps - warmup, 1), 1)
        expected = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * turn))
    assert schedule.factor(step) == pytest.approx(expected, abs=1e-14)
    assert 0 <= schedule.factor(step) <= 1


def test_constant_schedule_and_ends():
    assert [Schedule(10, 2, kind="constant").factor(i) for i in range(4)] == [0, 0.5, 1, 1]
    assert Schedule(10).factor(0) == 1
    assert Schedule(10).factor(5) == pytest.approx(0.5, abs=1e-15)
    assert Schedule(10).factor(10) == 0


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"steps": 5, "warmup": 6}, {"steps": 5, "floor": 2.0}])
def test_senseless_schedules_are_refused(wrong):
    with pytest.raises(BadArgument):
        Schedule(**wrong)
    with pytest.raises(UnknownName, match="cosine"):
        Schedule(5, kind="cosin")
