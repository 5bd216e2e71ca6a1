"""What a whole session costs: steps, energy, write-backs, and what a board lacks."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import mcusim
from mcusim.core import BadArgument, Provenance
from mcusim.planning.cost import NOT_COUNTED, session_cost


def session(board: str, update: str = "head", **choices) -> mcusim.Session:
    return mcusim.Session(mcusim.load("synthetic-mbv2"), mcusim.board(board), update, **choices)


@pytest.mark.smoke
def test_a_session_is_its_steps_and_one_write_back():
    s = session("stm32l4r5")
    plan, cost = s.plan(), s.cost(1000)
    power = plan.board.power
    assert cost.choosing_s.value == 0
    assert cost.compute_s.value == pytest.approx(1000 * plan.estimate.seconds)
    assert cost.compute_s.band == plan.estimate.time_ms.band != ""
    assert cost.write_backs == 1
    assert cost.energy_mj.value == pytest.approx(
        power.active_mw * (cost.compute_s.value + cost.writing_s.value)
    )
    assert cost.energy_mj.provenance is Provenance.MODELLED
    high = cost.compute_s.high + cost.writing_s.high
    assert cost.energy_mj.high == pytest.approx(power.active_high_mw * high)
    assert cost.sessions == 20_000
    assert cost.missing == ()
    assert json.loads(json.dumps(cost.as_dict()))["not_counted"] == NOT_COUNTED


def test_channels_are_chosen_at_the_start_of_every_stage_and_an_order_once():
    chosen = [session("stm32l4r5", f"dynamic:stage={n}").cost(1000).choosing_s for n in (1, 10, 1000)]
    assert chosen[0].value == pytest.approx(10 * chosen[1].value)
    assert chosen[0].value == pytest.approx(1000 * chosen[2].value)
    assert chosen[0].provenance is Provenance.MODELLED
    slower = session("stm32l4r5", "dynamic:stage=10", sgd=mcusim.Sgd(accumulate=8)).cost(1000)
    assert slower.choosing_s.value == pytest.approx(63 * chosen[2].value)  # a stage ends after an update
    turns = session("stm32l4r5", "dynamic:stage=10,policy=round-robin")
    assert (
        turns.cost(1000).choosing_s.value
        == turns.cost(10).choosing_s.value
        > 0
        == turns.cost(0).choosing_s.value
    )
    assert session("stm32l4r5", "dynamic:stage=none").cost(1000).choosing_s.value == chosen[2].value
    for update in ("head", "dense", "last-2"):
        assert session("stm32l4r5", update).cost(1000).choosing_s.value == 0
    with_energy, told = (
        session("stm32l4r5", "dynamic").cost(1000),
        dict(session("stm32l4r5", "dynamic").cost(1000).facts()),
    )
    awake = with_energy.compute_s.value + with_energy.choosing_s.value + with_energy.writing_s.value
    assert with_energy.energy_mj.value == pytest.approx(
        session("stm32l4r5").plan().board.power.active_mw * awake
    )
    assert "start of stages" in told["choosing"]
    assert "cortex-m4-mcusim-" in chosen[0].source


def test_weights_that_live_in_flash_are_written_at_the_end_of_every_stage():
    s = session("stm32l4r5", "dynamic:stage=100,blocks=2", residency="flash")
    assert [s.cost(n).write_backs for n in (0, 1, 100, 101, 1000)] == [0, 1, 1, 2, 10]
    assert s.cost(1000).sessions == s.cost(1).sessions // 10
    slower = session(
        "stm32l4r5", "dynamic:stage=100,blocks=2", residency="flash", sgd=mcusim.Sgd(accumulate=8)
    )
    assert slower.cost(104 * 5).write_backs == 5  # a stage ends after an update
    assert session("stm32l4r5", "dynamic:stage=100,blocks=2", residency="sram").cost(1000).write_backs == 1


def test_what_a_board_lacks_is_named_and_the_rest_is_there():
    cost = session("rp2040").cost(10)
    assert cost.energy_mj is None
    assert cost.energy_at_most_mj is None
    assert cost.compute_s is not None
    told = [line for line in cost.missing if "power.active_mw" in line]
    assert len(told) == 1
    assert told[0].endswith("(rp2040.toml)")
    bounded = session("stm32f746").cost(10)
    assert bounded.energy_mj is None
    awake = bounded.compute_s.high + (bounded.writing_s.high or bounded.writing_s.value)
    assert bounded.energy_at_most_mj.value == pytest.approx(2500 * awake)
    assert any("at most" in text for _, text in bounded.facts())
    partial = session("stm32h7a3").cost(10)
    assert partial.writing_s is None
    assert partial.energy_mj.value == pytest.approx(159 * partial.compute_s.value)
    assert partial.sessions == 20_000
    assert ["flash.program_typ_us" in partial.missing[0], "steps alone" in partial.missing[1]] == [True, True]
    unprofiled = session("stm32l4r5")
    bare = session_cost(replace(unprofiled.plan(), estimate=None), unprofiled.scheme, 10)
    assert (bare.compute_s, bare.energy_mj) == (None, None)
    assert "no cycle profile" in bare.missing[0]


@pytest.mark.parametrize("steps", [-1, 10**13])
def test_absurd_numbers_of_steps_are_refused(steps):
    with pytest.raises(BadArgument, match="steps"):
        session("stm32l4r5").cost(steps)


def test_a_run_knows_what_it_cost(tmp_path):
    s = session("nrf52840")
    run = s.train(mcusim.data.synthetic("target"), limit=50, out=tmp_path)
    assert run.cost == s.cost(run.steps)
    told = str(run)
    assert "50 steps; evaluation" in told
    assert f"{run.cost.energy_mj.value / 1000:,.4g} J" in told
    assert "% (modelled" in run._repr_html_()
    saved = json.loads((tmp_path / "run.json").read_text())
    assert saved["session"] == run.cost.as_dict()
