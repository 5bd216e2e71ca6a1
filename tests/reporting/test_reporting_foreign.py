"""What other programs write about their heaps becomes a trace, or one line that says why not."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcusim
from mcusim.memory.allocators import ALLOCATORS
from mcusim.memory.planners import PLANNERS

EVENTS = (
    "event,id,bytes,time\nalloc,a,100,0\nalloc,b,50,1.5\nfree,a,,2\nalloc,c,80,3\nalloc,a,10,3\nfree,b,50,4\n"
)
FREERTOS = """boot
[0001] traceMALLOC pvAddress=0x20000100 uiSize=64
[0002] traceMALLOC pvAddress=0x20000148 uiSize=32
[0009] traceFREE pvAddress=0x20000100 uiSize=64
idle task: 0x1234 ticks
[0011] malloc 0x20000100 16
"""
ZEPHYR = """*** Booting Zephyr OS ***
[00:00:00.010] heap 0x20000000: alloc mem 0x20000040, 24 bytes
[00:00:00.020] heap 0x20000000: alloc mem 0x20000060, 8 bytes
[00:00:00.030] heap 0x20000000: free mem 0x20000040, 24 bytes
"""


def snapshot() -> dict[str, object]:
    def event(action: str, addr: int, size: int) -> dict[str, object]:
        return {"action": action, "addr": addr, "size": size, "frames": [], "stream": 0}

    history = [
        event("segment_alloc", 0x7000, 4096), event("alloc", 0x7000, 512),
        event("free_requested", 0x7800, 256), event("free_completed", 0x7800, 256),
        event("alloc", 0x7200, 512), event("free_requested", 0x7000, 512),
        event("free_completed", 0x7000, 512),
    ]  # fmt: skip
    return {"segments": [], "device_traces": [[], history]}


def opened(tmp_path: Path, name: str, text: str | bytes) -> mcusim.Trace:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return mcusim.open_trace(path)


@pytest.mark.parametrize(
    ("name", "content", "live"),
    [
        ("events.csv", EVENTS, 150),
        ("heap.log", FREERTOS, 96),
        ("zephyr.txt", ZEPHYR, 32),
        ("torch.json", json.dumps(snapshot()), 1024),
        ("torch.pickle", pickle.dumps(snapshot(), protocol=4), 1024),
    ],
)
def test_every_form_is_replayed_explained_and_exported(name, content, live, tmp_path):
    trace = opened(tmp_path, name, content)
    assert mcusim.replay(trace).live_bytes == live
    assert mcusim.explain(trace).live_bytes == live
    for method, names in (("planner", ["best"]), ("allocator", ["tlsf"])):
        for how in names:
            assert mcusim.replay(trace, **{method: how}).peak_bytes >= live
    out = mcusim.export(trace, tmp_path / "problem.csv", "minimalloc")
    assert "lower" in Path(out).read_text()


def test_addresses_of_a_log_are_its_offsets(tmp_path):
    trace = opened(tmp_path, "heap.log", FREERTOS)
    assert mcusim.replay(trace).peak_bytes == 0x48 + 32


def test_what_was_exported_to_the_viewer_of_pytorch_comes_back(tmp_path):
    trace = opened(tmp_path, "events.csv", EVENTS)
    mcusim.export(trace, tmp_path / "again.pickle", "memory_viz")
    again = mcusim.open_trace(tmp_path / "again.pickle")
    assert mcusim.replay(again).live_bytes == mcusim.replay(trace).live_bytes


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 300)), max_size=40))
def test_a_csv_of_events_replays_as_its_heap_would(tmp_path_factory, steps):
    live: dict[str, int] = {}
    rows, most = ["event,id,bytes"], 0
    for number, size in steps:
        key = f"b{number}"
        if key in live:
            rows.append(f"free,{key},")
            del live[key]
        else:
            rows.append(f"alloc,{key},{size}")
            live[key] = size
        most = max(most, sum(live.values()))
    if len(rows) == 1:
        return
    trace = opened(tmp_path_factory.mktemp("log"), "a.csv", "\n".join(rows))
    assert mcusim.replay(trace).live_bytes == most


def test_a_tour_visits_every_planner_and_allocator(tmp_path):
    found = mcusim.tour(opened(tmp_path, "events.csv", EVENTS))
    assert {(s.method, s.name) for s in found.stops} == {
        *(("planner", name) for name in PLANNERS.names()),
        *(("allocator", name) for name in ALLOCATORS.names()),
    }  # fmt: skip
    assert all(s.fits for s in found.stops if not s.failure)
    peaks = [s.peak_bytes for s in found.stops if s.peak_bytes is not None]
    assert peaks == sorted(peaks)
    assert found.best is found.stops[0]
    assert all(0 <= s.fragmentation < 1 for s in found.stops if s.fragmentation is not None)


def test_a_tour_says_who_fails_and_how_much_is_missing(tmp_path):
    trace = opened(tmp_path, "events.csv", EVENTS)
    found = mcusim.tour(trace, sram=150, only=("best", "tlsf"))
    assert [s.name for s in found.stops] == ["best", "tlsf"]
    assert [s.fits for s in found.stops] == [True, False]
    assert "are missing" in found.stops[1].failure
    assert found.stops[1].peak_bytes > 150
    with pytest.raises(mcusim.UnknownName):
        mcusim.tour(trace, only=("tslf",))


def test_the_peak_of_a_buddy_system_is_what_it_holds(tmp_path):
    """Sixteen small blocks; all but the last, which lies highest, are freed before a larger one comes."""
    rows = ["event,id,bytes", *(f"alloc,a{i},64" for i in range(16)), *(f"free,a{i}," for i in range(15))]
    rows += ["alloc,b,900", "free,b,", "free,a15,"]
    found = mcusim.replay(opened(tmp_path, "a.csv", "\n".join(rows)), allocator="buddy")
    held = 64 + 1024
    assert held < found.peak_bytes < 16 * 64 + 1024
