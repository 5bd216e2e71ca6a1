"""Pages are alive in a browser, where there is one: they hover, click, sort, filter, and say no error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from networks import small_network
from reporting_browser import probed
from reporting_rows import some_rows

import mcusim
from mcusim.reporting.calibration_page import calibration_page
from mcusim.reporting.page import page
from mcusim.reporting.plain_page import plain_page

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


def _tour() -> str:
    found = mcusim.tour(mcusim.open_trace("synthetic-mbv2-session"), only=("first_fit", "tlsf"), sram="64KiB")
    return plain_page(found.sections(), title="A tour", command="mcusim tour")


PAGES: dict[str, Callable[[], str]] = {
    **{path.stem: lambda path=path: path.read_text("utf-8") for path in sorted(EXAMPLES.glob("*.html"))},  # type: ignore[misc]
    "calibration": _calibration,
    "tour": _tour,
}


@pytest.mark.parametrize(("dark", "width"), [(False, 500), (True, 1100)])
@pytest.mark.parametrize("name", PAGES)
def test_pages_are_read_in_the_dark_and_in_narrow_windows(
    name: str, dark: bool, width: int, tmp_path: Path
) -> None:
    script = "say('dark', matchMedia('(prefers-color-scheme: dark)').matches); say('width', innerWidth);"
    said = probed(PAGES[name](), script, tmp_path, dark=dark, width=width)
    assert said == {"dark": dark, "width": width, "errors": []}
