import json
import pickle
import pickletools

import pytest
from traces_plans import planned, session, small_problem

from mcusim.core import BadTrace, UnknownName
from mcusim.events import Event, EventTable, Header
from mcusim.memory.csv import read_csv
from mcusim.traces import Trace, TraceFile, memory_viz, write_trace
from mcusim.traces.export import EXPORTS, export

# What the viewer's own reader understands, by name in pickletools.
VIEWER_OPCODES = {
    "APPEND", "APPENDS", "BINFLOAT", "BINGET", "BININT", "BININT1", "BININT2", "BINPUT", "BINUNICODE",
    "DICT", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "FRAME", "LIST", "LONG1", "LONG_BINGET",
    "LONG_BINPUT", "MARK", "MEMOIZE", "NEWFALSE", "NEWTRUE", "NONE", "PROTO", "SETITEM", "SETITEMS",
    "SHORT_BINUNICODE", "STOP", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
}  # fmt: skip


@pytest.fixture
def trace():
    events = session([planned(small_problem(), resident=["w"], ops=4)] * 2)
    return Trace(Header(model="net", board="board", sram_bytes=256, align=8), events)


def test_perfetto_has_slices_and_a_counter_for_each_role(tmp_path, trace):
    data = json.loads(export(trace, tmp_path / "t.json", "perfetto").read_text())
    entries = data["traceEvents"]
    assert data["otherData"]["model"] == "net"
    slices = [e for e in entries if e["ph"] == "X"]
    assert [e["name"] for e in slices if e["cat"] != "step"] == [f"op{i}" for i in range(4)] * 2
    assert [(e["ts"], e["dur"]) for e in slices if e["name"] == "op1"] == [(100, 101), (506, 101)]
    assert [(e["name"], e["ts"], e["dur"]) for e in slices if e["cat"] == "step"] == [
        ("step 0", 0, 406),
        ("step 1", 406, 406),
    ]
    counters = [(e["name"], e["ts"], e["args"]["bytes"]) for e in entries if e["ph"] == "C"]
    assert [c for c in counters if c[0] == "SRAM input"] == [
        ("SRAM input", 0, 64),
        ("SRAM input", 201, 16),
        ("SRAM input", 303, 0),
        ("SRAM input", 406, 64),
        ("SRAM input", 607, 16),
        ("SRAM input", 709, 0),
    ]
    assert counters[-1][2] == 0
    last = {name: count for name, _, count in counters}
    assert set(last.values()) == {0}


def test_perfetto_counts_events_where_there_are_no_cycles(tmp_path):
    rows = [
        Event(0, 0, 0, "", "op_start", "", "", "", "a", -1, 0),
        Event(1, 0, 0, "", "flash_write", "flash", "checkpoint", "w", "a", 64, 8),
        Event(2, 0, 0, "", "select", "", "", "w", "a", -1, 8),
        Event(3, 0, 0, "", "op_end", "", "", "", "a", -1, 0),
        Event(4, 0, 0, "", "op_end", "", "", "", "never begun", -1, 0),
    ]
    path = export(EventTable.from_rows(rows), tmp_path / "t.json", "perfetto")
    entries = [e for e in json.loads(path.read_text())["traceEvents"] if e["ph"] != "M"]
    assert [(e["ph"], e["name"], e["ts"]) for e in entries] == [
        ("i", "flash write", 1),
        ("i", "select", 2),
        ("X", "a", 0),
    ]


def test_memory_viz_is_plain_data_that_the_viewer_can_read(tmp_path, trace):
    path = export(trace, tmp_path / "t.pickle", "memory_viz")
    opcodes = list(pickletools.genops(path.read_bytes()))
    assert {opcode.name for opcode, _, _ in opcodes} <= VIEWER_OPCODES
    assert opcodes[0][1] == 4
    data = pickle.loads(path.read_bytes())
    entries = data["device_traces"][0]
    assert entries[0]["action"] == "segment_alloc"
    assert entries[0]["size"] == 256
    live, peak = {}, 0
    for entry in entries[1:]:
        if entry["action"] == "alloc":
            assert entry["addr"] not in live
            live[entry["addr"]] = entry["size"]
            peak = max(peak, sum(live.values()))
        elif entry["action"] == "free_completed":
            assert live.pop(entry["addr"]) == entry["size"]
    assert (peak, live) == (104, {})
    assert [b["state"] for b in data["segments"][0]["blocks"]] == ["inactive"]


def test_memory_viz_shows_what_is_live_at_the_end(trace):
    events = trace.events[:6]
    segment = memory_viz.snapshot(Trace(trace.header, events))["segments"][0]
    assert sum(b["size"] for b in segment["blocks"]) == segment["total_size"] == 256
    active = [b for b in segment["blocks"] if b["state"] == "active_allocated"]
    assert sum(b["size"] for b in active) == segment["allocated_size"] > 0


@pytest.mark.oracle
def test_pytorch_reads_the_snapshot(tmp_path, trace):
    pytest.importorskip("torch")
    from torch.cuda import _memory_viz

    data = pickle.loads(export(trace, tmp_path / "t.pickle", "memory_viz").read_bytes())
    assert "256" in _memory_viz.segsum(data)
    text = _memory_viz.trace(data)
    assert text.count(" = ") >= 3
    assert "<html>" in _memory_viz.trace_plot(data)
    assert "<html>" in _memory_viz.segment_plot(data)


def test_minimalloc_has_the_blocks_of_the_trace(tmp_path, trace):
    problem = read_csv(export(trace, tmp_path / "t.csv", "minimalloc"), align=8)
    assert [(b.name, b.bytes) for b in problem.blocks] == [
        ("w", 8), ("x", 64), ("y", 32), ("x#2", 64), ("y#2", 32),
    ]  # fmt: skip


def test_files_export_as_traces_in_memory_do(tmp_path, trace):
    file = TraceFile(write_trace(tmp_path / "t.parquet", trace.events, trace.header))
    for form in EXPORTS:
        left, right = export(trace, tmp_path / f"a.{form}", form), export(file, tmp_path / f"b.{form}", form)
        assert left.read_bytes() == right.read_bytes()


def test_wrong_requests_are_refused(tmp_path, trace, monkeypatch):
    with pytest.raises(UnknownName, match="did you mean perfetto"):
        export(trace, tmp_path / "x", "perfeto")
    monkeypatch.setattr(memory_viz, "MAX_EVENTS", 5)
    with pytest.raises(BadTrace, match="more than 5 events"):
        export(trace, tmp_path / "x", "memory_viz")
    assert not list(tmp_path.iterdir())
