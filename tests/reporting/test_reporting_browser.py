"""Pages are alive in a browser, where there is one: they hover, click, sort, filter, and say no error."""

from __future__ import annotations

import random
import typing
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from networks import small_network
from reporting_browser import probed
from reporting_rows import some_rows

import mcusim
from mcusim.memory.tilings import tiling
from mcusim.reporting.calibration_page import calibration_page
from mcusim.reporting.page import page
from mcusim.reporting.plain_page import plain_page
from mcusim.reporting.rooms.glance import Glanced, glance

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

ARENA = """
const map = one(".map"), now = one(".now");
const op = () => now.querySelector("b").textContent;
say("ticks", all(".ticks text").length);
say("peak", op());
press(map, "Home"); say("first", op());
const before = map.getAttribute("viewBox"); press(map, "+");
say("zoomed", map.getAttribute("viewBox") !== before); press(map, "0");
say("back", map.getAttribute("viewBox") === before);
const place = map.getBoundingClientRect(), x = place.right - 2, y = place.top + 5;
for (const kind of ["pointerdown", "pointerup"])
  map.dispatchEvent(new PointerEvent(kind, {clientX: x, clientY: y, bubbles: true, pointerId: 1}));
say("clicked", op());
move(one(".box")); say("tip", tip.textContent);
one(".legend button").click(); say("dim", all(".box.dim").length > 0);
const ops = one("#ops table.data"), live = [...ops.tHead.rows[0].cells]
  .findIndex((cell) => cell.textContent.startsWith("live"));
ops.tHead.rows[0].cells[live].click(); say("sorted", ops.tBodies[0].rows[0].cells[live].textContent);
"""
ROOMS = """
const layers = one(".layers"), rows = layers.tBodies[0].rows;
const column = [...layers.tHead.rows[0].cells].findIndex((cell) => cell.textContent === "MACs");
press(layers.tHead.rows[0].cells[column], "Enter");
say("most", [...rows].map((row) => +row.cells[column].dataset.v).every((n, i, all) => !i || n <= all[i - 1]));
const filter = layers.parentNode.querySelector(".filter");
filter.value = "learns"; filter.dispatchEvent(new Event("input"));
say("learning", [...rows].filter((row) => !row.hidden).length);
const node = one(".node.learns"); press(node, "Enter");
say("paired", one("tr.chosen").dataset.layer === node.dataset.layer);
move(one(".stack")); say("roles", tip.textContent);
move(one(".strip rect")); say("longest", tip.textContent);
const chart = one("#training figure.chart svg"); press(chart, "ArrowRight");
say("mark", tip.textContent);
move(one(".matrix .hit")); say("hit", tip.textContent);
say("pictures", all(".pictures img").every((image) => image.complete && image.naturalWidth > 0));
"""


@pytest.fixture(scope="module")
def plan():
    return mcusim.Session(small_network(), mcusim.board("nrf52840"), update="last-2", sram="64KiB").plan()


def test_the_map_of_a_plan_zooms_and_says_what_is_live(plan, tmp_path):
    said = probed(page(plan), ARENA, tmp_path)
    ops = [op.name for op in plan.step.ops]
    assert said.pop("ticks") > 8
    assert " B at " in said.pop("tip")
    assert said == {
        "peak": plan.peak_op, "first": ops[0], "zoomed": True, "back": True, "clicked": ops[-1], "dim": True,
        "sorted": f"{plan.live_bytes:,}", "errors": [],
    }  # fmt: skip


def test_the_rooms_of_a_run_sort_filter_and_point_at_each_other(trained, tmp_path):
    run, answers = trained
    said = probed(page(run, answers=answers), ROOMS, tmp_path)
    step = run.plan.step
    learning = {*step.scope.eligible, *step.scope.biases, "classifier"} & {op.name for op in step.model.ops}
    assert said.pop("learning") == len(learning)
    assert " B" in said.pop("roles")
    assert " ms" in said.pop("longest")
    assert said.pop("mark").startswith("train: ")
    assert " taken for " in said.pop("hit")
    assert said == {"most": True, "paired": True, "pictures": True, "errors": []}


def _calibration() -> str:
    return calibration_page(
        mcusim.calibrate(
            some_rows(), name="mine", core="cortex-m4", library="mine", data="made up", command="none"
        ),
        command="mcusim calibrate",
    )


def _glanced(kind: str) -> str:
    found = glanced_at(kind)
    sections = [] if isinstance(found, tuple) else found.sections()
    return plain_page(sections, title=kind, command=f"mcusim {kind}", glanced=found)


@cache
def glanced_at(kind: str) -> Glanced:
    """Return a small result of each kind that pages have a picture of."""
    model, board = small_network(), mcusim.board("nrf52840")
    if kind == "Comparison":
        return mcusim.compare(model, [board, mcusim.board("rp2040")], ["head", "dense"], sram="14KiB")
    if kind == "Tour":
        trace = mcusim.open_trace("synthetic-mbv2-session")
        return mcusim.tour(trace, only=("first_fit", "tlsf"), sram="64KiB")
    if kind == "Timeline":
        return mcusim.timeline(mcusim.plan(model, board, "head"), frames_per_s=20, hours=0.01)
    if kind == "Found":
        images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
        data = mcusim.data.from_arrays(images, np.arange(40) % 4)
        gains = mcusim.sensitivity(model, board, data, steps=4)
        return mcusim.search(model, board, gains, mcusim.Settings(sram="24KiB", patches="off"))
    problem = tiling(60, 4)
    return problem, mcusim.pack(problem)


KINDS = [(typing.get_origin(kind) or kind).__name__ for kind in typing.get_args(Glanced)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_that_is_glanced_at_has_a_picture_that_says_what_is_pointed_at(kind: str) -> None:
    seen = glance(glanced_at(kind))
    assert "data-tip=" in seen
    assert '<section id="glance"' in _glanced(kind)


PAGES: dict[str, Callable[[], str]] = {
    **{path.stem: lambda path=path: path.read_text("utf-8") for path in sorted(EXAMPLES.glob("*.html"))},  # type: ignore[misc]
    "calibration": _calibration,
    **{kind: partial(_glanced, kind) for kind in KINDS},
}


def test_a_trace_of_100_000_events_is_a_small_page_that_is_whole(tmp_path: Path) -> None:
    """What is drawn, and so how long it takes to open, does not grow with the trace."""
    rng, live, rows = random.Random(0), [], ["event,id,bytes"]
    for number in range(100_000):
        if live and (len(live) > 60 or rng.random() < 0.5):
            rows.append(f"free,{live.pop(rng.randrange(len(live)))},")
        else:
            live.append(f"b{number}")
            rows.append(f"alloc,b{number},{rng.randrange(16, 4096)}")
    (tmp_path / "heap.csv").write_text("\n".join([*rows, ""]))
    text = page(mcusim.open_trace(tmp_path / "heap.csv"))
    assert len(text.encode()) < 400_000
    script = """const curve = one(".curve").getAttribute("d");
say("boxes", all(".box").length);
say("columns", curve.split("V").length - 2);
say("peak", one(".now").textContent.includes("beside it"));"""
    assert probed(text, script, tmp_path) == {"boxes": 1000, "columns": 1000, "peak": True, "errors": []}


LOOKS = {
    (name, dark, width)
    for name in PAGES
    for dark, width in ([(True, 500)] if name in KINDS else [(False, 500), (True, 1100)])
}


@pytest.mark.parametrize(("name", "dark", "width"), sorted(LOOKS))
def test_pages_are_read_in_the_dark_and_in_narrow_windows(
    name: str, dark: bool, width: int, tmp_path: Path
) -> None:
    script = "say('dark', matchMedia('(prefers-color-scheme: dark)').matches); say('width', innerWidth);"
    said = probed(PAGES[name](), script, tmp_path, dark=dark, width=width)
    assert said == {"dark": dark, "width": width, "errors": []}
