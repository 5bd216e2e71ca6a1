"""The recorded traces in ``traces/``: what the README and the notebook replay."""

from pathlib import Path

import pytest

from mcusim.core import OutOfSram, UnknownName
from mcusim.events import EventKind
from mcusim.traces import TraceFile, read_trace
from mcusim.traces.explanation import explain_trace
from mcusim.traces.replay import replay
from mcusim.traces.shipped import shipped, shipped_traces

FOLDER = Path(__file__).parents[2] / "traces"
FILES = sorted(FOLDER.glob("*.parquet"))
KINDS = {
    "head", "bias", "last", "dense", "static", "dynamic", "tinytrain", "trady", "medyate", "tinyprop",
}  # fmt: skip
ONE_STEP = [path for path in FILES if "session" not in path.name]


def test_all_schemes_and_a_session_are_there():
    names = {path.stem for path in FILES}
    of = {TraceFile(path).header.scheme for path in FILES}
    kinds = {scheme.partition(":")[0].partition("-")[0] for scheme in of}
    assert kinds == KINDS
    assert {"mbv2-w0.35-dense", "mbv2-w0.35-dynamic", "synthetic-mbv2-session"} <= names
    assert sum(path.stat().st_size for path in FILES) < 1_000_000


def test_shipped_traces_are_found_by_name():
    # Installed, they lie inside the package; in a checkout it is the same folder.
    assert {n: p.read_bytes() for n, p in shipped_traces().items()} == {p.stem: p.read_bytes() for p in FILES}
    assert shipped("mbv2-w0.35-dense").name == "mbv2-w0.35-dense.parquet"
    with pytest.raises(UnknownName, match=r"did you mean mbv2-w0\.35-dense"):
        shipped("mbv2-w0.35-dens")


def test_the_session_lays_its_steps_out_anew_when_the_selection_changes():
    events = read_trace(shipped("synthetic-mbv2-session")).events
    laid: dict[int, set[tuple[str, int]]] = {}
    for event in events:
        if event.event == EventKind.ALLOC and event.tensor.startswith("weight:"):
            laid.setdefault(event.step, set()).add((event.tensor, event.bytes))
    assert list(laid) == [0, 3, 6, 9]
    assert len({frozenset(rows) for rows in laid.values()}) == 4


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_trace_replays_to_the_bytes_it_has(path):
    trace = read_trace(path)
    result = replay(trace)
    assert result == replay(TraceFile(path))
    assert sum(result.moment.by_role.values()) == result.live_bytes <= result.peak_bytes
    assert explain_trace(trace).op == result.moment.op
    assert trace.events.row(-1).event in (EventKind.STEP_END, EventKind.FREE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_trace_replays_otherwise(path):
    file = TraceFile(path)
    need = replay(file, planner="greedy_by_size").peak_bytes
    assert need >= replay(file).live_bytes
    for allocator in ("first_fit", "tlsf"):
        heap = replay(file, allocator=allocator)
        assert heap.peak_bytes >= heap.live_bytes
    with pytest.raises(OutOfSram):
        replay(file, sram=replay(file).peak_bytes - 1)


def test_sparse_schemes_fit_where_dense_does_not():
    fits = {path.stem: replay(TraceFile(path)).peak_bytes <= 262_144 for path in ONE_STEP}
    assert fits["mbv2-w0.35-dynamic"]
    assert fits["mbv2-w0.35-static-99kb"]
    assert not fits["mbv2-w0.35-dense"]
