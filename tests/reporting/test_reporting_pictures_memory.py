import pytest
from traces_plans import planned, session, small_problem

from mcusim.core import BadArgument, MissingPackage
from mcusim.core.vocabulary import SRAM_ROLES
from mcusim.events import EventTable, Header
from mcusim.sections.colors import ROLE_COLORS
from mcusim.traces import Trace
from mcusim.traces.live import live_by_role, live_bytes
from mcusim.traces.rectangles import rectangles


@pytest.fixture
def trace():
    return Trace(Header(model="net", sram_bytes=128, align=8), session([planned(small_problem(), ops=4)] * 2))


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def test_every_role_has_a_color_of_its_own():
    assert set(ROLE_COLORS) == set(SRAM_ROLES)
    assert len(set(ROLE_COLORS.values())) == len(ROLE_COLORS)


def test_live_plot_marks_capacity_and_peak(plt, trace, tmp_path):
    from mcusim.reporting.pictures.memory import plot_live

    figure = plot_live(trace)
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"peak 104 B\nop1", "forward"} <= texts
    assert figure.get_suptitle().endswith("red: SRAM 128 B")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["weight", "input", "error"]
    figure.savefig(tmp_path / "live.png")
    assert (tmp_path / "live.png").stat().st_size > 1000


def test_arena_map_draws_every_block_where_it_lies(plt, trace, tmp_path):
    from mcusim.reporting.pictures.memory import plot_arena

    figure, ax = plt.subplots()
    assert plot_arena(trace, step=1, ax=ax) is figure
    boxes = [path.get_extents() for c in ax.collections for path in c.get_paths()]
    assert len(boxes) == len(rectangles(trace.events)) / 2
    assert max(box.y1 for box in boxes) == 104 / 1024
    figure.savefig(tmp_path / "arena.png")


def test_plots_of_nothing_are_empty_and_not_errors(plt):
    from mcusim.reporting.pictures.memory import plot_arena, plot_live

    for plot in (plot_live, plot_arena):
        plot(EventTable.empty()).canvas.draw()


def test_wrong_steps_and_missing_matplotlib_are_refused(trace, monkeypatch):
    from mcusim.reporting.pictures.memory import plot_live

    with pytest.raises(BadArgument, match="step 7: is not in the trace"):
        plot_live(trace, step=7)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingPackage, match="mcusim\\[plot\\]"):
        plot_live(trace)


def test_rectangles_follow_blocks_as_they_shrink(trace):
    found = rectangles(trace.events[trace.events.step == 0])
    assert [(r.tensor, r.bytes) for r in found if r.tensor == "x"] == [("x", 64), ("x", 16)]
    assert all(r.start < r.end for r in found)


def test_live_bytes_start_and_end_at_nothing(trace):
    live = live_bytes(trace.events)
    by_role = live_by_role(trace.events)
    assert live[0] == live[-1] == 0
    assert live.max() == 104
    assert (sum(by_role.values()) == live).all()
