"""The rooms of a page: each figure is that of the plan or the run, each part of the network is there."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from networks import small_network

import mcusim
from mcusim.core import BadRun
from mcusim.mcu.flash.flash import sectors
from mcusim.reporting.course import Course, read_history
from mcusim.reporting.page import page
from mcusim.reporting.rooms.charts import Scale
from mcusim.reporting.rooms.confusion import data_uri
from mcusim.reporting.rooms.device import device_room, sector_runs
from mcusim.reporting.rooms.layers import layer_uses, layers_room
from mcusim.reporting.rooms.training import training_room
from mcusim.reporting.saved import SavedRun
from mcusim.session.answers import answers as answered


def test_every_layer_is_a_row_and_a_node(trained):
    plan = trained[0].plan
    room = layers_room(plan)
    for op in plan.step.model.ops:
        assert room.count(f'data-layer="{op.name}"') == 2
    uses = layer_uses(plan)
    assert sum(use.cycles for use in uses.values()) <= plan.estimate.total_cycles
    assert sum(use.cycles for use in uses.values()) > 0.95 * plan.estimate.total_cycles
    roles = {role for use in uses.values() for role, size in use.by_role.items() if size}
    assert {"weight", "bias", "activation", "error", "mask", "feature"} <= roles
    held = sum(sum(use.by_role.values()) for use in uses.values())
    assert held <= sum(t.bytes for t in plan.step.tensors.values() if t.buffer == t.name)


def test_flash_is_shown_sector_by_sector(trained):
    plan = trained[0].plan
    runs = list(sector_runs(plan))
    units = [unit for unit, _ in sectors(plan.board.flash)]
    assert [n for run in runs for n in range(run.first, run.last + 1)] == list(range(len(units)))
    assert sum(run.taken for run in runs) == sum(item.bytes for item in plan.flash.items)
    room = device_room(plan)
    assert "once in 2 write-backs" in room
    assert f"{plan.board.flash.endurance_cycles * 2:,}" in room
    assert "A day of it" in room


def test_a_device_without_a_profile_says_so():
    from dataclasses import replace

    board = replace(mcusim.board("nrf52840"), profile=None)
    plan = mcusim.plan(small_network(), board, "head")
    assert "has no cycle profile" in device_room(plan)
    assert "There is none" in device_room(plan)


def test_answers_give_the_accuracy_of_the_run(trained):
    run, answers = trained
    assert answers.right == pytest.approx(run.metric_after, abs=0)
    assert answers.counts.sum() == 40
    assert all(wrong.wanted != wrong.said for wrong in answers.wrong)
    assert [w.margin for w in answers.wrong] == sorted((w.margin for w in answers.wrong), reverse=True)
    room = training_room(Course.of(run), answers)
    assert room.count("<figure class=") == 5  # metric, loss, rate, saturations, coverage
    assert len(re.findall(r'<td class="(?:hit|miss)"', room)) == len(answers.names) ** 2


def test_answers_that_are_no_classes_have_no_matrix(examples, trained):
    from mcusim.tasks.goals import Goals
    from mcusim.tasks.task import TASKS

    run, _ = trained
    assert answered(run.model, examples, Goals.of(run.model, TASKS["multi-label"]())) is None


def test_a_saved_run_has_the_page_of_the_run(trained):
    run, answers = trained
    saved = SavedRun.open(run.out)
    assert saved.missing == ""
    assert saved.plan.peak_bytes == run.peak_bytes
    assert saved.course.outcome == run.outcome
    text, live = page(saved, answers=answers), page(run, answers=answers)
    for key in ("layers", "training", "device"):
        part = re.compile(rf'<section id="{key}".*?</section>', re.DOTALL)
        assert part.search(text)[0] == part.search(live)[0]


def test_a_half_written_line_of_a_history_is_left_out(trained, tmp_path):
    run, _ = trained
    whole = read_history(run.out)
    assert len(whole) == len(run.curve)
    shutil.copy(run.out / "history.csv", tmp_path)
    with (tmp_path / "history.csv").open("a") as file:
        file.write("3,1")
    assert read_history(tmp_path) == whole
    (tmp_path / "history.csv").write_text("epoch,loss\n1,two\n")
    with pytest.raises(BadRun, match="is damaged"):
        read_history(tmp_path)
    with pytest.raises(BadRun, match=r"has no history\.csv"):
        read_history(tmp_path / "nowhere")


def test_ticks_are_round_and_inside():
    for low, high in ((0, 1), (0.013, 0.0132), (-5, 7), (3, 3), (0, 0), (1e6, 9e6)):
        scale = Scale(low, high, 0, 100)
        assert 2 <= len(scale.ticks) <= 12
        assert all(-1e-6 <= scale(tick) <= 100 + 1e-6 for tick in scale.ticks)


def test_pictures_are_small_and_whole():
    from base64 import b64decode
    from io import BytesIO

    pillow = pytest.importorskip("PIL.Image")
    image = np.arange(96 * 120 * 3, dtype=np.uint8).reshape(96, 120, 3)
    opened = pillow.open(BytesIO(b64decode(data_uri(image).partition(",")[2])))
    assert np.array_equal(np.asarray(opened), image[::3, ::3])
