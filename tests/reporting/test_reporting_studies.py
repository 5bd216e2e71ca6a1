"""The pages of a study and of two results: every candidate, every run, both sides; alive in a browser."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from networks import small_network
from reporting_browser import probed
from reporting_study import some_study

import mcusim
from mcusim.core import BadRun
from mcusim.reporting.difference_page import difference_page
from mcusim.reporting.rooms.parallel import Upright
from mcusim.reporting.saved import SavedRun
from mcusim.reporting.study_page import AXES, study_page
from mcusim.studies.point import WAITING
from mcusim.studies.reading import open_study

STUDY = """
move(one("#fronts .mark")); say("mark", tip.textContent);
const lines = one(".parallel svg"); press(lines, "ArrowRight"); say("line", tip.textContent);
const runs = one("#runs table.data"), rows = runs.tBodies[0].rows;
const filter = runs.parentNode.querySelector(".filter");
filter.value = "dense"; filter.dispatchEvent(new Event("input"));
say("shown", [...rows].filter((row) => !row.hidden).length);
"""
SIDES = """
const maps = all(".map"), nows = all(".now b");
press(maps[0], "Home"); press(maps[1], "End");
say("ops", all(".now b").map((node) => node.textContent));
"""


def test_every_candidate_is_a_mark_and_a_line_and_every_point_a_row(tmp_path):
    found = some_study(tmp_path)
    text = study_page(found, command="mcusim sweep some.toml")
    known = [name for name in AXES if found.means[0].figure(name) is not None]
    assert len(known) == 3
    marks = re.findall(r'<circle class="mark', text.partition('id="course"')[0])
    assert len(marks) == len(found.means) * len(known)
    assert len(re.findall(r'<polyline class="line', text)) == len(found.means) == 3
    runs = text[text.index('<section id="runs"') :].partition("</section>")[0]
    assert runs.count("<tr>") == 1 + len(found.points)
    assert runs.count("too large") == 6
    assert "sgd.lr 3: accuracy 81.00%" in text
    assert len(text.encode()) < 400_000


def test_a_study_nothing_of_which_is_done_has_a_page(tmp_path):
    found = some_study(tmp_path)
    for point in found.points:
        point.status, point.result = WAITING, {}
    page = study_page(replace(found))
    assert "No candidate is done yet" in page
    assert 'id="course"' not in page


def test_a_study_lives_in_a_browser(tmp_path):
    said = probed(study_page(some_study(tmp_path)), STUDY, tmp_path)
    assert "peak SRAM, KiB" in said.pop("mark")
    assert said.pop("line").startswith("update head")
    assert said == {"shown": 6, "errors": []}


def test_a_folder_gives_the_study_that_lies_in_it(tmp_path):
    found = some_study(tmp_path)
    for point in found.points:
        folder = tmp_path / "runs" / point.key
        folder.mkdir(parents=True)
        point.write(folder)
    with pytest.raises(BadRun, match=r"has no study\.toml"):
        open_study(tmp_path)
    from mcusim.core.toml_text import toml

    (tmp_path / "study.toml").write_text(toml(found.study.model_dump(mode="json", exclude_none=True)))
    found.save()
    read = open_study(tmp_path)
    assert read.as_dict() == found.as_dict()
    assert study_page(read) == study_page(found)
    (tmp_path / "runs" / "k3" / "point.json").write_text("{}")
    with pytest.raises(BadRun, match="is damaged"):
        open_study(tmp_path)


def test_words_and_numbers_have_places_on_an_upright():
    assert Upright("a", ["x", "y", "z", "x"]).places() == [0.0, 0.5, 1.0, 0.0]
    assert Upright("a", [3, None, 5]).places() == [0.0, 0.0, 1.0]
    assert Upright("a", [None]).labels() == []
    assert Upright("a", [2, 2]).labels() == [(0.0, "2")]


def test_two_plans_stand_side_by_side(tmp_path):
    board = mcusim.board("nrf52840")
    sides = [mcusim.plan(small_network(), board, update) for update in ("head", "last-2")]
    text = difference_page(*sides, names=("head", "last-2"))
    change = sides[1].peak_bytes - sides[0].peak_bytes
    assert f"last-2 needs {change:,} B more at the peak" in text
    assert "setting that differs" in text
    said = probed(text, SIDES, tmp_path)
    assert said == {"ops": [sides[0].step.ops[0].name, sides[1].step.ops[-1].name], "errors": []}


def test_two_runs_share_their_charts(trained):
    run = SavedRun.open(trained[0].out)
    text = difference_page(run, run, names=("one", "two"))
    assert "two needs as many bytes of SRAM" in text
    assert text[text.index('<section id="training"') :].partition("</section>")[0].count("<figure") == 2
