"""The recorded traces in ``traces/``: what the README and the notebook replay."""

from pathlib import Path

import pytest

from mcusim.core import OutOfSram
from mcusim.events import EventKind
from mcusim.traces import TraceFile, read_trace
from mcusim.traces.explanation import explain_trace
from mcusim.traces.replay import replay

FOLDER = Path(__file__).parents[2] / "traces"
FILES = sorted(FOLDER.glob("*.parquet"))
ONE_STEP = [path for path in FILES if "session" not in path.name]


def test_all_schemes_and_a_session_are_there():
    names = {path.stem for path in FILES}
    schemes = {"head", "bias", "last-6", "dense", "static-99kb", "dynamic"}
    assert {f"mbv2-w0.35-{scheme}" for scheme in schemes} | {"synthetic-mbv2-session"} <= names


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
