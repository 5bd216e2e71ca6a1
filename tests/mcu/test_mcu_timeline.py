from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mcusim.core import BadArgument, BadBoard, Figure, Provenance
from mcusim.mcu import Board, board
from mcusim.mcu.board_files import board_names
from mcusim.mcu.energy import energy, energy_at_most
from mcusim.mcu.flash.write_back import write_back
from mcusim.mcu.timeline.scenario import Scenario, scenario
from mcusim.mcu.timeline.timeline import simulate
from mcusim.mcu.timeline.timeline_views import write_timeline_trace
from mcusim.reporting.pictures.frames import plot_frames

pytest.importorskip("simpy")


def twin(s: Scenario) -> dict[str, int]:
    """Step through the same device nanosecond-event by event, without simpy and without skipping."""
    end, free, ready, moving = s.duration_ns, s.buffers, 0, []
    caught = steps = writes = active = stalled = beside = pending = 0
    busy_until, doing, flash_until, frame, waiting = None, None, 0, 0, None
    now = 0
    while True:
        moments = [m for m in (busy_until, *moving, frame * s.period_ns) if m is not None and m >= now]
        now = min(moments)
        if now >= end:
            break
        if busy_until == now:
            busy_until = None
            if doing == "step":
                steps, pending, free = steps + 1, pending + 1, free + 1
                if s.write_back_every and pending == s.write_back_every:
                    wait = flash_until - now
                    waiting = now + wait if wait > 0 else now
                    stalled += min(max(0, wait), end - now)
            if waiting is not None and doing != "write":
                doing, busy_until, waiting = "wait", waiting, None
                if busy_until > now:
                    continue
                busy_until = None
            if doing == "wait":
                pending, writes = 0, writes + 1
                flash_until = now + s.write_back_ns
                if s.stalls:
                    stalled += min(s.write_back_ns, end - now)
                    doing, busy_until = "write", now + s.write_back_ns
                    continue
                beside += min(s.write_back_ns, end - now)
        while moving and moving[0] == now:
            moving.pop(0)
            ready += 1
        if frame * s.period_ns == now:
            frame += 1
            if free:
                free, caught = free - 1, caught + 1
                if s.dma_ns:
                    moving.append(now + s.dma_ns)
                    moving.sort()
                else:
                    ready += 1
        if busy_until is None and ready:
            ready, doing, busy_until = ready - 1, "step", now + s.step_ns
            active += min(s.step_ns, end - now)
    return {
        "caught": caught, "steps": steps, "write_backs": writes, "active_ns": active,
        "stalled_ns": stalled, "beside_ns": beside,
    }  # fmt: skip


def a_scenario(rww: bool, **times) -> Scenario:
    home = board("stm32l4r5")
    home = replace(home, flash=replace(home.flash, read_while_write=rww))
    return Scenario(home, **times)


@given(
    rww=st.booleans(), step=st.integers(1, 60), period=st.integers(1, 50), duration=st.integers(1, 4000),
    dma=st.integers(0, 30), buffers=st.integers(1, 3), write=st.integers(1, 100), every=st.integers(0, 12),
)  # fmt: skip
@example(rww=True, step=3, period=10, duration=4000, dma=2, buffers=1, write=95, every=1)
@example(rww=False, step=3, period=10, duration=3999, dma=0, buffers=2, write=1, every=700)
def test_the_simulation_equals_its_slow_twin(rww, step, period, duration, dma, buffers, write, every):
    # Odd steps on an even grid: two things never happen at the same instant, so no order is a choice.
    s = a_scenario(
        rww, step_ns=1000 * step + 1, period_ns=1000 * period, duration_ns=1000 * duration + 500,
        dma_ns=1000 * dma + 30 if dma else 0, buffers=buffers,
        write_back_ns=1000 * write + 7, write_back_every=every,
    )  # fmt: skip
    found = simulate(s, window_s=0).totals
    assert {name: getattr(found, name) for name in twin(s)} == twin(s)


def test_skipping_repetitions_changes_nothing():
    s = scenario(
        board("stm32l4r5"), 0.02, frames_per_s=30, duration_s=300, frame_bytes=49_152,
        dma_bytes_per_s=20e6, write_back=write_back(board("stm32l4r5"), 20_000), write_back_every=50,
    )  # fmt: skip
    whole, skipped = simulate(s, window_s=300), simulate(s, window_s=1)
    assert whole.totals == skipped.totals
    assert skipped.slices == tuple(x for x in whole.slices if x.start_ns < 1e9)
    assert simulate(s) == simulate(s)


def test_a_day_of_training():
    home = board("nrf52840")
    s = scenario(
        home, 1.5, frames_per_s=0.5, duration_s=86_400, frame_bytes=49_152, dma_bytes_per_s=1e6,
        write_back=write_back(home, 10_000), write_back_every=100,
    )  # fmt: skip
    day = simulate(s)
    assert (day.frames, day.missed_frames) == (43_200, 0)
    assert day.totals.steps == 43_200
    assert day.totals.write_backs == 432
    assert day.duty_cycle == pytest.approx(0.75 + 432 * day.scenario.write_back_ns / 86_400e9)
    asleep = 1 - day.duty_cycle
    expected = home.power.active_mw * day.duty_cycle + home.power.sleep_mw * asleep
    assert day.energy_per_hour.value == pytest.approx(expected * 3600)
    assert day.average_current_ma.value == pytest.approx(expected / 3.3)
    assert day.flash_lifetime_days == pytest.approx(20_000 / 432)
    assert day.as_dict()["missing"] == {}


def test_writes_beside_the_core_do_not_stall_it():
    times = {
        "step_ns": 10,
        "period_ns": 20,
        "duration_ns": 10_000,
        "write_back_ns": 150,
        "write_back_every": 10,
    }
    beside, stalling = simulate(a_scenario(True, **times)), simulate(a_scenario(False, **times))
    assert beside.missed_frames == 0
    assert stalling.missed_frames > 0
    assert beside.totals.stalled_ns < stalling.totals.stalled_ns


def test_absent_power_is_named_and_null_in_json():
    day = simulate(scenario(board("stm32l4r5"), 0.4, frames_per_s=1))
    with pytest.raises(BadBoard, match=r"power\.sleep_mw.*stm32l4r5\.toml"):
        _ = day.energy_per_hour
    data = json.loads(json.dumps(day.as_dict()))
    assert data["energy_per_hour"] is None
    assert "power.sleep_mw" in data["missing"]["energy_per_hour"]
    with pytest.raises(BadBoard, match=r"power\.active_mw.*stm32f746\.toml"):
        energy(board("stm32f746"), 1.0)


def test_energy_states_the_spread_between_laboratories():
    found = energy(board("stm32l4r5"), 1.0, 0.5)
    assert found.mj == pytest.approx(44.7 * 1.5)
    assert (found.low_mj, found.high_mj) == (pytest.approx(33 * 1.5), pytest.approx(78.2 * 1.5))
    assert found.figure.band == " -26% +75%"
    assert "flash_write_mw" in found.notes[0]
    assert energy(board("nrf52840"), 1.0).figure.high is None
    timed = energy(board("stm32l4r5"), Figure(1.0, "s", Provenance.MODELLED, "", 0.5, 2.0))
    assert (timed.low_mj, timed.high_mj) == (pytest.approx(33 * 0.5), pytest.approx(78.2 * 2))


def test_energy_by_region_adds_what_lies_outside_the_chip():
    inside = energy(board("esp32s3"), 2.0)
    assert inside.parts == {"computing": pytest.approx(470)}
    found = energy(board("esp32s3-psram"), 2.0, moved={"PSRAM": 1e6, "SRAM1": 1e9})
    assert found.parts == {"computing": pytest.approx(470), "PSRAM": pytest.approx(0.72)}
    assert found.mj == pytest.approx(sum(found.parts.values()))
    assert "transfer_nj of sram PSRAM" in found.unknown[0]
    psram = board("esp32s3-psram")
    told = replace(psram, sram=(*psram.sram[:-1], replace(psram.sram[-1], transfer_nj=0.5)))
    moving = energy(told, 2.0, moved={"PSRAM": 4e6})
    assert moving.parts["PSRAM"] == pytest.approx(0.72 + 2.0)
    assert not moving.unknown


def test_energy_at_most_follows_from_a_limit_of_the_supply_and_the_end_of_the_band():
    time = Figure(2.0, "s", Provenance.MODELLED, "", 1.0, 3.0)
    most = energy_at_most(board("stm32f746"), time)
    assert most is not None
    assert most.value == pytest.approx(7500)
    assert "USB 2.0" in most.source
    assert energy_at_most(board("rp2040"), time) is None


def test_every_cortex_m7_has_power_or_a_bound():
    boards = [board(name) for name in board_names() if board(name).core == "cortex-m7"]
    assert len(boards) >= 6
    assert all(b.power.active_mw or b.power.bound_mw for b in boards)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"frames_per_s": 0}, "frames_per_s"), ({"frames_per_s": float("nan")}, "frames_per_s"),
        ({"duration_s": -1}, "duration_s"), ({"step": 1e9}, "step"), ({"buffers": 0}, "buffers"),
        ({"frame_bytes": -1}, "frame_bytes"), ({"dma_bytes_per_s": 0.0}, "dma_bytes_per_s"),
        ({"write_back_every": 5}, "write_back_every"),
    ],
)  # fmt: skip
def test_scenarios_that_make_no_sense(choices, message):
    sane: dict = {"step": 0.1, "frames_per_s": 1.0, **choices}
    with pytest.raises(BadArgument, match=message):
        scenario(board("stm32l4r5"), sane.pop("step"), **sane)


def test_a_trace_and_a_plot(tmp_path):
    home: Board = board("nrf52840")
    run = simulate(
        scenario(home, 0.3, frames_per_s=2, duration_s=60, frame_bytes=49_152, dma_bytes_per_s=1e6,
                 write_back=write_back(home, 10_000), write_back_every=4)
    )  # fmt: skip
    trace = json.loads(write_timeline_trace(run, tmp_path / "t.json").read_text())
    slices = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    assert len(slices) == len(run.slices)
    assert {e["cat"] for e in slices} == {"DMA", "core", "flash"}
    pytest.importorskip("matplotlib")
    plot_frames(run, seconds=8).savefig(tmp_path / "t.png")
    assert (tmp_path / "t.png").stat().st_size > 5000
