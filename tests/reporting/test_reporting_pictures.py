"""Pictures of every result: what they show, and that nothing is cut off or lies on another thing."""

from __future__ import annotations

import typing
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from reporting_rows import some_rows
from reporting_study import some_study

import mcusim
from mcusim.core.errors import BadArgument, MissingPackage
from mcusim.memory.tilings import tiling
from mcusim.reporting.pictures import picture
from mcusim.reporting.pictures.canvas import FORMATS, WIDTH, canvas, save

pytest.importorskip("matplotlib")
LONG = "a-network-whose-name-is-as-long-as-those-that-converters-write-into-their-files-and-longer"


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    """Return a result of each kind that has a picture, by the name of its class."""
    model, board = mcusim.load("synthetic-mbv2"), mcusim.board("stm32f746")
    plan = mcusim.plan(model, board, "dynamic")
    data = mcusim.data.synthetic(train=40, test=20)
    problem = tiling(60, 4)
    return {
        "Plan": plan,
        "Run": mcusim.train(model, board, data, epochs=2, update="head", limit=20),
        "Comparison": mcusim.compare(
            model, [board, mcusim.board("rp2040")], ["head", "dense"], sram="120KiB"
        ),
        "Difference": mcusim.diff(mcusim.plan(model, board, "head"), plan),
        "Timeline": mcusim.timeline(plan, frames_per_s=20, hours=0.01, write_back_every=50),
        "Found": mcusim.search(
            model, board, mcusim.sensitivity(model, board, data, steps=5), mcusim.Settings(sram="160KiB")
        ),
        "tuple": (problem, mcusim.pack(problem)),
        "Replay": mcusim.replay(mcusim.open_trace("synthetic-mbv2-session"), sram="96KiB"),
        "Tour": mcusim.tour(
            mcusim.open_trace("synthetic-mbv2-session"), only=("greedy_by_size", "first_fit")
        ),
        "StudyResult": some_study(Path("some")),
        "TraceFile": mcusim.open_trace("synthetic-mbv2-session"),
        "Calibration": mcusim.calibrate(
            some_rows(), name="mine", core="cortex-m4", library="mine", data="made up", command="none"
        ),
    }


KINDS = (
    "Plan",
    "Run",
    "Comparison",
    "Difference",
    "Timeline",
    "Found",
    "tuple",
    "Replay",
    "Tour",
    "StudyResult",
    "TraceFile",
    "Calibration",
)


def test_every_kind_that_can_be_drawn_is_drawn_here() -> None:
    kinds = {typing.get_origin(kind) or kind for kind in typing.get_args(picture.Drawable)}
    assert {kind.__name__ for kind in kinds} == {*KINDS, "Trace", "EventTable"}


def extents(figure: Any) -> list[tuple[str, Any]]:
    """Return the texts that are shown, with the pixels they take."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    # Labels of ticks outside what an axis shows exist and are not drawn.
    outside = {
        id(label)
        for ax in figure.axes
        for place, (axis, limits) in enumerate(((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())))
        for label in axis.get_ticklabels(which="both")
        if not min(limits) <= label.get_position()[place] <= max(limits)
    }
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in shown if id(text) not in outside]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_cut_off_and_no_label_lies_on_another(kind: str, results: dict[str, Any]) -> None:
    drawn(mcusim.plot(results[kind]))


def drawn(figure: Any) -> None:
    """Assert that nothing of a picture is cut off, and no text lies on another."""
    assert figure.get_size_inches()[0] == WIDTH
    texts = extents(figure)
    assert texts
    frame = figure.bbox
    for said, box in texts:
        assert box.x0 >= frame.x0 - 1 and box.x1 <= frame.x1 + 1, f"{said!r} is cut off"  # noqa: PT018
        assert box.y0 >= frame.y0 - 1 and box.y1 <= frame.y1 + 1, f"{said!r} is cut off"  # noqa: PT018
    for (one, a), (other, b) in combinations(texts, 2):
        width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert width <= 1.5 or height <= 1.5, f"{one!r} lies on {other!r}"


def test_what_does_not_fit_is_said_beside_the_legend() -> None:
    model, board = mcusim.load("synthetic-mbv2"), mcusim.board("nrf52840")
    updates = ["head", "dynamic:stage=100,blocks=5", "dense"]
    drawn(mcusim.plot(mcusim.compare(model, [board], updates, sram="64KiB")))


def test_a_long_title_is_wrapped(results: dict[str, Any]) -> None:
    plan = results["Plan"]
    trace = mcusim.open_trace("synthetic-mbv2-session")
    header = replace(plan.header, model=LONG)
    figure = mcusim.plot(mcusim.Trace(header, next(iter(trace))))
    assert all(box.x1 <= figure.bbox.x1 + 1 for _, box in extents(figure))


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_result_gives_the_same_bytes(suffix: str, results: dict[str, Any], tmp_path: Path) -> None:
    one, two = tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"
    mcusim.plot(results["Plan"], one)
    mcusim.plot(results["Plan"], two)
    assert one.read_bytes() == two.read_bytes()


def test_wrong_things_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure, _ = canvas(2.0)
    for name in ("picture.jpeg", "picture"):
        with pytest.raises(BadArgument, match=r"end it in \.png"):
            save(figure, tmp_path / name)
    with pytest.raises(BadArgument, match="has no picture"):
        mcusim.plot(3)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingPackage, match="mcusim\\[plot\\]"):
        canvas(2.0)


VERBS = {
    "plan": ["-m", "synthetic-mbv2", "-b", "stm32f746", "--no-suggest"],
    "compare": ["-m", "synthetic-mbv2", "--boards", "stm32f746", "--updates", "head"],
    "replay": ["synthetic-mbv2-session"],
    "explain": ["synthetic-mbv2-session"],
    "diff": ["head", "bias", "-m", "synthetic-mbv2", "-b", "stm32f746"],
    "timeline": ["-m", "synthetic-mbv2", "-b", "stm32f746", "--hours", "0.01"],
    "train": ["-m", "synthetic-mbv2", "-b", "stm32f746", "-u", "head", "--data", "synthetic", "--limit", "2"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_draw_what_they_say(verb: str, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from mcusim.cli.main import build

    path = tmp_path / "picture.svg"
    result = CliRunner().invoke(build(), [verb, *VERBS[verb], "--plot", str(path)])
    assert result.exit_code == 0, result.output
    assert path.read_text("utf-8").startswith("<?xml")
