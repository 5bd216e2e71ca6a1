"""SRAM of several kinds: outside the chip lies what has no room in it, the least moved first."""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from networks import small_network

import mcusim
from mcusim.core import BadArgument, BadBoard, BadProblem, Interval, Role
from mcusim.mcu import board
from mcusim.mcu.board import SramRegion
from mcusim.mcu.board_files import load_board
from mcusim.memory.block import Block
from mcusim.memory.checker import check_offsets
from mcusim.memory.outside import least_moved, spread
from mcusim.memory.planners import PLANNERS, best
from mcusim.memory.problem import Problem
from mcusim.planning.regions import moved
from mcusim.proof.checker import first_violation, seal
from mcusim.reporting.page import page

H743 = board("stm32h743")
INSIDE = 12_288


def narrow(wait_states: int = 28):
    """Return a board with a little SRAM on the chip and much beside it."""
    home = board("stm32h747-sdram")
    near = SramRegion("AXI", INSIDE, cached=True, wait_states=0, address=0x2400_0000)
    far = SramRegion("SDRAM", 1 << 20, wait_states, cached=True, address=0xD000_0000, external=True)
    return replace(home, sram=(near, far))


def random_problem(rng: np.random.Generator, count: int) -> tuple[Problem, dict[str, int]]:
    blocks, costs = [], {}
    for i in range(count):
        start, length = (int(v) for v in rng.integers((0, 1), (6, 6)))
        blocks.append(Block(f"b{i}", int(rng.integers(1, 40)) * 4, Interval(start, start + length)))
        costs[f"b{i}"] = int(rng.integers(0, 200))
    return Problem(tuple(blocks), 4000, 4, gaps=(100,)), costs


def fits(problem: Problem, names: set[str]) -> bool:
    part = tuple(b for b in problem.blocks if b.name in names)
    return best(replace(problem, blocks=part, capacity=100, gaps=()), effort=1000).fits


def test_as_little_is_moved_outside_as_can_be():
    """Beside every choice of what lies outside; never below the bound, and mostly the best of all."""
    rng, hits = np.random.default_rng(5), 0
    for _ in range(30):
        problem, costs = random_problem(rng, 7)
        names, inside = {b.name for b in problem.blocks}, 100
        found = spread(problem, inside, costs, lambda part, _effort: best(part, effort=1000))
        check_offsets(problem, found.offsets)
        out = {n for n in names if found.offsets[n] >= inside}
        assert out == {b.name for b in problem.blocks if found.offsets[b.name] + b.bytes > inside}
        paid = sum(costs[n] for n in out)

        cheapest = min(
            sum(costs[n] for n in gone)
            for count in range(len(names) + 1)
            for gone in combinations(sorted(names), count)
            if sum(costs[n] for n in gone) <= paid and fits(problem, names - {*gone})
        )
        assert least_moved(problem, inside, costs) <= cheapest <= paid
        hits += paid == cheapest
    assert hits >= 24


def test_what_has_room_on_the_chip_stays_there():
    wide = board("stm32h747-sdram")
    plan = mcusim.plan(small_network(), wide, "head", patches="off")
    inside = replace(wide, sram=wide.sram[:-1])
    assert (
        plan.solution.offsets == mcusim.plan(small_network(), inside, "head", patches="off").solution.offsets
    )
    assert not plan.regions[-1].tensors
    assert sum(plan.operations["outside_bytes"]) == 0


def test_a_plan_says_what_lies_outside_and_what_that_costs():
    plan = mcusim.plan(small_network(), narrow(), "dense", patches="off")
    near, far = plan.regions
    assert plan.fits
    assert far.tensors
    assert near.used_bytes <= INSIDE
    assert sum(plan.operations["outside_bytes"]) == far.read_bytes + far.written_bytes > 0
    assert {use.region.name: use.read_bytes for use in plan.estimate.regions}["SDRAM"] == far.read_bytes
    offsets = plan.solution.offsets
    assert all(offsets[b.name] < INSIDE for b in plan.problem.blocks if b.role is Role.RUNTIME)
    costs = moved(plan.problem, plan.step)
    paid = sum(cost for name, cost in costs.items() if offsets[name] >= INSIDE)
    assert least_moved(plan.problem, INSIDE, costs) <= paid == far.read_bytes + far.written_bytes
    everything = sum(costs.values())
    assert paid < everything / 2
    facts = dict(plan._facts())
    assert facts["outside"].startswith(f"{far.tensors} tensor")
    assert f"SDRAM {far.used_bytes:,} of 1,048,576 B" in facts["regions"]
    quick = mcusim.plan(small_network(), narrow(0), "dense", patches="off")
    assert quick.solution.offsets == offsets
    slower = plan.estimate.total_cycles - quick.estimate.total_cycles
    assert slower == plan.estimate.breakdown["cache_misses"] > 0
    html = page(plan)
    assert 'class="region"' in html
    assert "SDRAM from 12,288" in html


def test_a_step_with_tensors_outside_trains_to_the_same_bits():
    data = mcusim.data.synthetic("target")
    model = mcusim.load("synthetic-mbv2")
    home = board("stm32h747-sdram")
    sram = (SramRegion("AXI", 40_000, cached=True), replace(home.sram[-1], address=0xD000_0000))
    results = []
    for where in (home, replace(home, sram=sram)):
        run = mcusim.Session(model, where, "dynamic", patches="off").train(data, limit=20)
        results.append((run.metric_after, run.history["loss"].tolist()))
        outside = run.plan.regions[-1].tensors
    assert outside
    assert results[0] == results[1]


def test_dma_reaches_where_the_input_lies():
    first, second, *others = H743.sram
    tightly_coupled_first = replace(H743, sram=(second, first, *others))
    plan = mcusim.plan(small_network(), tightly_coupled_first, "dense", patches="off")
    (given,) = [b for b in plan.problem.blocks if b.name == plan.step.ops[0].writes[0]]
    assert given.barred == tightly_coupled_first.beyond_dma == ((0, 131_072),)
    assert plan.solution.offsets[given.name] >= 131_072
    everywhere = replace(H743, sram=tuple(replace(region, dma=True) for region in tightly_coupled_first.sram))
    other = mcusim.plan(small_network(), everywhere, "dense", patches="off")
    assert other.solution.offsets[given.name] < 131_072
    with pytest.raises(BadArgument, match=r"first_fit on stm32h743.*DMA does not reach"):
        mcusim.plan(
            small_network(),
            tightly_coupled_first,
            "dense",
            allocator="first_fit",
            sram=131_072,
            patches="off",
        )


def test_a_limit_of_sram_leaves_memory_that_dma_reaches():
    for home in mcusim.boards():
        assert home.sram[0].dma, home.name
    plan = mcusim.plan(small_network(), H743, "dense", sram=65_536, patches="off")
    assert plan.fits
    assert plan.peak_bytes < 65_536


@pytest.mark.parametrize("planner", PLANNERS.names())
def test_no_planner_puts_a_block_where_it_is_barred(planner):
    if planner == "exact":
        pytest.importorskip("ortools")
    rng = np.random.default_rng(3)
    for _ in range(6):
        problem, _costs = random_problem(rng, 10)
        bars = ((0, 40), (60, 120))
        blocks = tuple(replace(b, barred=bars) if i % 3 == 0 else b for i, b in enumerate(problem.blocks))
        for capacity in (None, 260):
            barred = replace(problem, blocks=blocks, capacity=capacity)
            check_offsets(barred, PLANNERS[planner](barred, seed=0, effort=1).offsets)


def test_the_judge_finds_a_block_where_it_is_barred():
    problem = Problem((Block("b", 8, Interval(0, 1), barred=((0, 16),)),))
    check_offsets(problem, {"b": 16})
    with pytest.raises(BadProblem, match=r"'b'.*barred from 0..16"):
        check_offsets(problem, {"b": 8})
    with pytest.raises(BadProblem, match="bars ascend"):
        Block("b", 8, Interval(0, 1), barred=((4, 4),))


def test_a_certificate_says_where_everything_lies():
    found = mcusim.prove(small_network(), H743, "dense", patches="off").as_dict()
    names = [region["name"] for region in found["sram"]["memory"]]
    assert names == [region.name for region in H743.sram]
    (given,) = [b for b in found["sram"]["blocks"] if b["name"] == found["sram"]["ops"][0]["uses"][0]]
    assert given["barred"] == ["DTCM"]
    assert given["regions"] == ["AXI"]
    moved_there = copy.deepcopy(found)
    (given,) = [b for b in moved_there["sram"]["blocks"] if b["name"] == given["name"]]
    given["regions"] = ["DTCM"]
    moved_there["seal"] = seal(moved_there)
    assert "lies in other regions than it says" in first_violation(moved_there)


def test_what_is_outside_comes_last_in_a_board_file(tmp_path):
    text = Path(board("stm32f769-sdram").file).read_text("utf-8")
    file = tmp_path / "wrong.toml"
    file.write_text(text.replace('name = "DTCM"', 'name = "DTCM"\nexternal = true'), "utf-8")
    with pytest.raises(BadBoard, match="external SRAM region comes before"):
        load_board(file)


def test_the_published_network_of_702_kb_has_a_place():
    """MobileNetV2 at 224: ST publishes 702 KB of activations, on boards with external memory."""
    if not (folder := os.environ.get("MCUSIM_DATA")):
        pytest.skip("needs MCUSIM_DATA")
    model = mcusim.load(Path(folder) / "tflite/coral_mobilenet_v2_1.0_224_quant.tflite")
    for name in ("stm32h747-sdram", "stm32f769-sdram", "esp32s3-psram"):
        home = board(name)
        plan = mcusim.Session(model, home, "none", patches="off").plan(suggest=False)
        assert plan.peak_bytes <= home.sram_bytes, name
        assert plan.regions[-1].tensors <= 4, name
        assert plan.bound.bytes > home.inside_bytes, name
