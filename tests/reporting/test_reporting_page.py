"""The page: whole, small, alone, well-formed, and alive in a browser where there is one."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from networks import small_network
from traces_plans import planned, session, small_problem

import mcusim
from mcusim.core import SaveFailed
from mcusim.events import Header
from mcusim.reporting.document import embedded
from mcusim.reporting.page import page, report
from mcusim.reporting.rooms.arena import MOST_BOXES, ArenaPicture, Box
from mcusim.reporting.subject import trace_of
from mcusim.traces import Trace
from mcusim.traces.shipped import shipped_traces
from mcusim.traces.store import TraceFile

VOID = {"meta", "input", "br", "img"}


class Elements(HTMLParser):
    """Collects the elements of a document and insists that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def elements(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser.found


@pytest.fixture(scope="module")
def plan():
    return mcusim.Session(small_network(), mcusim.board("nrf52840"), update="last-2", sram="64KiB").plan()


@pytest.fixture(scope="module")
def text(plan):
    return page(plan, command="mcusim report --model small")


def test_the_page_is_one_small_file_without_a_network(text):
    found = elements(text)
    assert len(text.encode()) < 400_000
    assert not re.search(r'(src|href)="(?!#|data:)|url\(|@import|https?://(?!www\.w3\.org/2000/svg)', text)
    assert [tag for tag, _ in found].count("html") == 1
    assert ("html", {"lang": "en"}) in found
    assert {"main", "h1", "h2", "svg", "table", "rect"} <= {tag for tag, _ in found}


def test_every_shipped_trace_is_small(tmp_path):
    for path in shipped_traces().values():
        made = page(TraceFile(path))
        elements(made)
        assert len(made.encode()) < 400_000, path


def test_every_tensor_is_a_box_where_it_lies(plan, text):
    boxes = [a for tag, a in elements(text) if tag == "rect" and "box" in str(a.get("class"))]
    arena = ArenaPicture.of(trace_of(plan).events, plan.header)
    assert len(boxes) == len(arena.boxes) > 20
    assert arena.top_bytes == plan.peak_bytes
    assert arena.bound_bytes == plan.live_bytes
    assert arena.limit_bytes == 65_536
    assert [name for name, _, _ in arena.ops] == [op.name for op in plan.step.ops]
    shared = sum(plan.step.shared().values())  # what dying inputs may give to outputs, at most
    for time, live in enumerate(plan.step.live_profile()):
        there = sum(b.bytes for b in arena.boxes if b.start <= time < b.end)
        assert there - shared <= live <= arena.ops[time][2] <= live + shared


def test_names_are_escaped():
    evil = "</script><script>alert(1)</script>"
    trace = Trace(Header(model=evil, sram_bytes=128), session([planned(small_problem(), ops=4)]))
    made = page(trace, command=evil)
    assert evil not in made
    assert [tag for tag, _ in elements(made)].count("script") == 3
    arena = ArenaPicture(((evil, evil, 1),), (Box(evil, "error", 0, 1, 0, 1),), 0, (), 0)
    said = embedded(arena.data())
    assert "<script" not in arena.svg() + said
    assert json.loads(said)["ops"][0][0] == evil


def test_too_many_boxes_are_counted_not_hidden(monkeypatch, plan):
    monkeypatch.setattr("mcusim.reporting.rooms.arena.MOST_BOXES", 5)
    made = page(plan)
    assert "of the smallest tensors are not drawn" in made
    assert made.count('class="box') == 5 < MOST_BOXES


def test_of_several_steps_the_first_is_drawn():
    steps = session([planned(small_problem(), ops=4)] * 3)
    trace = Trace(Header(model="net", sram_bytes=128), steps)
    assert len(ArenaPicture.of(steps, trace.header).ops) == 4
    assert "first of 3 recorded steps" in page(trace)
    assert "recorded steps" not in page(Trace(trace.header, steps[steps.step == 0]))


def test_the_same_result_gives_the_same_page(plan, text):
    assert page(plan, command="mcusim report --model small") == text


def test_a_trace_of_nothing_has_a_page():
    from mcusim.events import EventTable

    elements(page(EventTable.empty()))


def test_what_is_told_in_sections_has_a_page(plan):
    from mcusim.reporting.plain_page import plain_page

    found = mcusim.compare(small_network(), [plan.board], ["head", "last-2"])
    made = plain_page(found.sections(), title="small", command="mcusim compare")
    tags = [tag for tag, _ in elements(made)]
    assert tags.count("h2") == 2
    assert made[made.index('<section id="result"') :].partition("</section>")[0].count("<tr>") == 3
    assert all(row.plan.settings.update in made for row in found.rows)
    day = mcusim.timeline(plan, hours=0.01)
    assert "training steps" in plain_page(day.sections(), title="a day")


def test_a_page_is_written_whole_or_not_at_all(plan, text, tmp_path):
    path = report(plan, tmp_path / "page.html", command="mcusim report --model small")
    assert path.read_text("utf-8") == text
    (tmp_path / "file").write_text("")
    with pytest.raises(SaveFailed):
        report(plan, tmp_path / "file" / "page.html")
