"""Pictures of every result: what they show, and that nothing is cut off or lies on another thing."""

from __future__ import annotations

import typing
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import small_network
from reporting_rows import some_rows
from reporting_study import some_study

import mcusim
from mcusim.core.errors import BadArgument, MissingPackage
from mcusim.memory.tilings import tiling
from mcusim.reporting.pictures import picture
from mcusim.reporting.pictures.canvas import FORMATS, SMALL, WIDTH, canvas, save

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


def extents(figure: Any) -> list[tuple[Any, Any]]:
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
    return [(text, text.get_window_extent(renderer)) for text in shown if id(text) not in outside]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_cut_off_and_no_label_lies_on_another(kind: str, results: dict[str, Any]) -> None:
    drawn(mcusim.plot(results[kind]))


def drawn(figure: Any) -> None:
    """Assert that a picture has the width of a column, and that its letters are read there.

    Nothing of it is cut off, no text lies on another, and where it has a frame there is something within.
    """
    assert figure.get_size_inches()[0] == WIDTH == 3.35
    assert figure.get_size_inches()[1] < 9.5, "is higher than a page"
    texts = extents(figure)
    assert texts
    frame = figure.bbox
    for text, box in texts:
        said = text.get_text()
        assert text.get_fontsize() >= SMALL == 7, f"{said!r} is too small"
        assert "$" not in said, said
        assert box.x0 >= frame.x0 - 1 and box.x1 <= frame.x1 + 1, f"{said!r} is cut off"  # noqa: PT018
        assert box.y0 >= frame.y0 - 1 and box.y1 <= frame.y1 + 1, f"{said!r} is cut off"  # noqa: PT018
    for (one, a), (other, b) in combinations(texts, 2):
        width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert width <= 1 or height <= 1, f"{one.get_text()!r} lies on {other.get_text()!r}"
    for ax in figure.axes:
        assert min(ax.bbox.width, ax.bbox.height) > 0.25 * figure.dpi, "there is no room for what is shown"


def test_what_does_not_fit_is_said_with_the_longest_names() -> None:
    model, board = mcusim.load("synthetic-mbv2"), mcusim.board("nrf52840")
    updates = ["head", "dynamic:stage=100,blocks=5", "dense"]
    drawn(mcusim.plot(mcusim.compare(model, [board], updates, sram="64KiB")))


def test_names_as_long_as_converters_write_them_have_room(results: dict[str, Any]) -> None:
    """A title is wrapped, and a word that is too wide is shortened, as are ops and sides of a difference."""
    long = replace(mcusim.load("synthetic-mbv2"), name=LONG)
    boards = [mcusim.board("stm32f746"), mcusim.board("stm32h747-sdram")]
    schemes = ["head", "tinytrain:stage=100,blocks=5", "dense"]
    found = mcusim.compare(long, boards, schemes, sram="64KiB")
    drawn(mcusim.plot(found))
    drawn(mcusim.plot(found.rows[2].plan))
    drawn(mcusim.plot(mcusim.diff(found.rows[0].plan, found.rows[2].plan)))


@pytest.mark.parametrize("sram", ["76KiB", "96KiB", "160KiB"])
def test_a_capacity_just_above_the_peak_lies_on_no_word(sram: str) -> None:
    drawn(mcusim.plot(mcusim.plan("synthetic-mbv2", "stm32f746", "dynamic", sram=sram)))


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
    "tour": ["synthetic-mbv2-session", "--only", "first_fit"],
    "explain": ["synthetic-mbv2-session"],
    "diff": ["head", "bias", "-m", "synthetic-mbv2", "-b", "stm32f746"],
    "timeline": ["-m", "synthetic-mbv2", "-b", "stm32f746", "--hours", "0.01"],
    "train": ["-m", "synthetic-mbv2", "-b", "stm32f746", "-u", "head", "--data", "synthetic", "--limit", "2"],
    "pack": ["problem.csv"],
    "search": ["-m", "net.npz", "-b", "nrf52840", "--data", "images.npz", "--steps", "4", "--patches", "off"],
    "sweep": ["study.toml"],
    "calibrate": ["rows.csv", "--core", "cortex-m4", "--library", "mine", "--name", "mine"],
}
FILES = {
    "problem.csv": "id,lower,upper,size\na,0,3,4\nb,3,9,4\n",
    "rows.csv": "kind,macs,cycles\nconv,100,300\nconv,200,610\npointwise,400,1210\n",
    "study.toml": """[base]
model = "synthetic-mbv2"
board = "nrf52840"
data = "synthetic"
training.limit = 2
[axes]
update = ["head"]
""",
}


def test_every_verb_that_draws_is_called_here() -> None:
    from mcusim.cli.main import VERBS as ALL
    from mcusim.cli.main import verb as command_of

    drawing = {name for name in ALL if any("--plot" in part.opts for part in command_of(name).params)}
    assert drawing == {*VERBS}


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_draw_what_they_say(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from mcusim.cli.main import build

    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)
    if verb == "search":  # has hundreds of plans: of a small network
        from mcusim.files.npz import save as save_network

        save_network(small_network(), "net.npz")
        images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
        labels = np.arange(40) % 4
        np.savez(
            "images.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels
        )
    result = CliRunner().invoke(build(), [verb, *VERBS[verb], "--plot", "picture.svg"])
    assert result.exit_code == 0, result.output
    assert Path("picture.svg").read_text("utf-8").startswith("<?xml")
