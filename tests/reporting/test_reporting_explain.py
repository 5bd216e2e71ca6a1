import json

import pytest
from networks import small_network
from traces_plans import planned, session, small_problem

import mcusim
from mcusim.core import BadArgument, LiveBlock
from mcusim.events import EventTable, Header
from mcusim.memory import PLANNERS
from mcusim.reporting.diff import account, diff
from mcusim.reporting.explain import explain
from mcusim.reporting.subject import trace_of
from mcusim.traces import Trace, TraceFile, write_trace
from mcusim.traces.explanation import Explanation, explain_placement


@pytest.fixture(scope="module")
def plans():
    board, model = mcusim.board("stm32f746"), small_network()
    return {
        update: mcusim.Session(model, board, update=update, sram="64KiB", seed=0).plan()
        for update in ("head", "last-2")
    }


@pytest.fixture
def trace():
    return Trace(Header(model="net", sram_bytes=128, align=8), session([planned(small_problem(), ops=4)]))


def test_an_explanation_says_when_what_and_how_much(trace):
    found = explain(trace, suggestions=["smaller images: 10 B less"])
    assert (found.peak_bytes, found.live_bytes, found.lower_bound_bytes) == (104, 104, 104)
    assert (found.op, found.phase) == ("op1", "forward")
    assert found.by_role == {"input": 64, "error": 32, "weight": 8}
    assert str(found) == SMALL
    data = json.loads(json.dumps(found.as_dict()))
    assert data["fits"] is True
    assert sum(data["by_role"].values()) == data["live_bytes"]


SMALL = """\
net: fits, 81.2% of 128 B

peak         104 B
live         104 B during op1 (forward)
lower bound  104 B; no placement needs less
holes        0 B, 0.0% of the peak

live then  bytes   share
────────────────────────
input         64   61.5%  ████████████████████████
  x           64
error         32   30.8%  ████████████
  y           32
weight         8    7.7%  ███
  w            8
────────────────────────
live         104

what would lower it:
  smaller images: 10 B less"""


@pytest.mark.smoke
def test_what_does_not_fit_says_so():
    found = Explanation("net", 100, 150, 120, "", "", [LiveBlock(f"t{i}", "error", 20) for i in range(6)])
    assert found.missing_bytes == 50
    text = str(found)
    assert "does not fit 100 B: 50 B are missing" in text
    assert "holes        30 B, 20.0% of the peak" in text
    assert "in 2 more     40" in text


def test_placements_and_their_traces_are_explained_alike(trace):
    problem = small_problem()
    solution = PLANNERS["greedy_by_size"](problem)
    found = explain_placement(problem, solution, [(f"op{i}", "forward") for i in range(4)])
    other = explain(trace)
    for field in ("peak_bytes", "live_bytes", "by_role", "op", "live"):
        assert getattr(found, field) == getattr(other, field)
    assert explain_placement(problem, solution).op == "time 1"


def test_plans_and_their_traces_are_explained_alike(plans):
    for plan in plans.values():
        found, traced = explain(plan), explain(trace_of(plan))
        assert found.peak_bytes == traced.peak_bytes == plan.peak_bytes
        assert found.live_bytes == traced.live_bytes == plan.live_bytes
        assert found.op == traced.op == plan.peak_op
        assert {r: b for r, b in plan.by_role.items() if b} == found.by_role


def test_an_empty_trace_has_an_explanation():
    assert "0 B" in str(explain(EventTable.empty()))


def test_a_difference_is_right_minus_left(plans):
    found = diff(plans["head"], plans["last-2"], names=("head", "last-2"))
    totals = {line.name: line for line in found.totals}
    assert totals["peak"].change == plans["last-2"].peak_bytes - plans["head"].peak_bytes
    assert sum(line.change for line in found.roles) == totals["live"].change
    frame = found.frame("roles")
    assert list(frame.columns) == ["head", "last-2", "change"]
    assert frame["change"].sum() == totals["live"].change
    assert found.frame("ops").index.name == "op"
    assert json.loads(json.dumps(found.as_dict()))["left"] == "head"
    text = str(found)
    assert "left   head" in text
    assert "in total" in text
    assert "most live bytes by op" in text


def test_nothing_differs_from_itself(plans):
    found = diff(plans["head"], plans["head"])
    lines = [*found.totals, *found.roles, *found.phases]
    assert {line.change for line in lines} == {0}
    assert found.ops == ()


def test_accounts_count_what_is_live_during_an_op(trace):
    found = account(trace)
    assert found.by_op == {"op0": 72, "op1": 104, "op2": 56, "op3": 40}
    assert found.by_phase == {"forward": 104, "backward": 56}
    assert found.cycles_by_op == {f"op{i}": 100 + i for i in range(4)}
    assert found.cycles == 406


def test_every_kind_of_subject_has_events(tmp_path, plans, trace):
    path = write_trace(tmp_path / "t.parquet", trace.events, trace.header)
    assert trace_of(TraceFile(path)) == trace_of(trace) == trace
    assert trace_of(trace.events).events == trace.events
    assert trace_of(plans["head"]).header == plans["head"].header
    with pytest.raises(BadArgument, match="str: cannot be reported on"):
        trace_of("a file name")
