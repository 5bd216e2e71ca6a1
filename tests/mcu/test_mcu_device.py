"""The compiled device that skips, against the simpy device that does not."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcusim.mcu import board
from mcusim.mcu.timeline.device import Device
from mcusim.mcu.timeline.scenario import Scenario
from mcusim.mcu.timeline.timeline import simulate

pytest.importorskip("simpy")


def a_scenario(rww: bool, **times: int) -> Scenario:
    home = board("stm32l4r5")
    home = replace(home, flash=replace(home.flash, read_while_write=rww))
    return Scenario(home, **times)


def slowly(s: Scenario) -> dict[str, int]:
    device = Device(s, 0)
    device.run()
    return asdict(device.totals)


def fast(s: Scenario) -> dict[str, int]:
    return asdict(simulate(s, window_s=0).totals)


@settings(max_examples=400)
@given(
    rww=st.booleans(), step=st.integers(1, 40), period=st.integers(1, 30), duration=st.integers(1, 3000),
    dma=st.integers(0, 60), buffers=st.integers(1, 5), write=st.integers(0, 90), every=st.integers(0, 12),
)  # fmt: skip
@example(rww=True, step=10, period=10, duration=3000, dma=0, buffers=2, write=0, every=0)
@example(rww=True, step=10, period=10, duration=3000, dma=10, buffers=2, write=7, every=1)
@example(rww=False, step=31, period=10, duration=2999, dma=5, buffers=2, write=9, every=7)
@example(rww=True, step=11, period=10, duration=3000, dma=9, buffers=3, write=60, every=3)
def test_skipping_changes_nothing_even_when_things_happen_at_one_instant(
    rww, step, period, duration, dma, buffers, write, every
):
    s = a_scenario(
        rww, step_ns=step, period_ns=period, duration_ns=duration, dma_ns=dma, buffers=buffers,
        write_back_ns=write, write_back_every=every,
    )  # fmt: skip
    assert fast(s) == slowly(s)


@given(
    rww=st.booleans(), step=st.integers(900, 4000), dma=st.integers(0, 2500), buffers=st.integers(2, 6),
    write=st.integers(1, 9000), every=st.sampled_from([0, 1, 2, 7, 50, 1000]),
)  # fmt: skip
def test_clocks_that_drift_are_skipped_too(rww, step, dma, buffers, write, every):
    s = a_scenario(
        rww, step_ns=step, period_ns=1009, duration_ns=1_500_007, dma_ns=dma, buffers=buffers,
        write_back_ns=write, write_back_every=every,
    )  # fmt: skip
    assert fast(s) == slowly(s)


def test_a_year_without_a_rest():
    second = 10**9
    s = a_scenario(
        False, step_ns=45_123_457, period_ns=33_333_333, duration_ns=365 * 86_400 * second, dma_ns=1_000_003,
        buffers=2, write_back_ns=1_234_567_891, write_back_every=1000,
    )  # fmt: skip
    totals = simulate(s).totals
    assert totals.active_ns + totals.stalled_ns == pytest.approx(s.duration_ns, rel=1e-6)
    assert totals.steps == pytest.approx(s.duration_ns / (45_123_457 + 1_234_567.891), rel=1e-6)
    assert totals.write_backs == totals.steps // 1000
    assert totals.steps <= totals.caught <= totals.steps + 2
