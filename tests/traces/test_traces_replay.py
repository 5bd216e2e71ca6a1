import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traces_plans import planned, problems, session, small_problem, spans

from mcusim.core import BadArgument, BadTrace, Interval, OutOfSram, Role, UnknownName
from mcusim.events import Event, EventKind, EventTable, Header, TableSink
from mcusim.memory import PLANNERS, Block, Ledger, Overlap, Problem, lower_bound
from mcusim.memory.allocators import ALLOCATORS
from mcusim.traces import Trace, TraceFile, read_trace, store, write_trace
from mcusim.traces.replay import replay
from mcusim.traces.windows import problem_of


@pytest.fixture
def small():
    return small_problem()


def ledger_of(events, capacity=2**40):
    """The slow twin: the ledger, event by event."""
    ledger = Ledger(capacity)
    for event in events:
        if event.region != "sram":
            continue
        if event.event == EventKind.ALLOC:
            ledger.alloc(event.tensor, Role(event.role), event.bytes, offset=event.offset, where=event.op)
        elif event.event == EventKind.FREE:
            ledger.free(event.tensor)
        elif event.event in (EventKind.SHRINK, EventKind.YIELD):
            ledger.shrink(event.tensor, event.bytes)
    ledger.check()
    return ledger


def test_a_small_step_is_followed_to_the_byte(small):
    events = session([planned(small)])
    result = replay(events)
    assert (result.live_bytes, result.peak_bytes) == (104, PLANNERS["greedy_by_size"](small).height)
    assert result.moment.op == "op1"
    assert result.moment.by_role == {"input": 64, "error": 32, "weight": 8}
    assert [block.name for block in result.moment.live] == ["x", "y", "w"]
    assert sum(result.moment.by_role.values()) == result.live_bytes


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(1, 3))
def test_the_machine_agrees_with_the_ledger(problem, steps):
    resident = [
        block.name for block in problem.blocks if block.lifetime == Interval(0, 12) and not block.shrinks
    ]
    events = session([planned(problem, resident=resident)] * steps)
    result, ledger = replay(events), ledger_of(events)
    assert result.live_bytes == ledger.peak.live_bytes
    assert result.moment.by_role == {str(role): size for role, size in ledger.peak.by_role.items()}
    assert {b.name: b.bytes for b in result.moment.live} == {
        b.name: b.bytes for b in ledger.peak.live if b.bytes
    }
    assert result.moment.op == ledger.peak.where
    assert result.peak_bytes == ledger.top_bytes
    assert result.events == len(events)


@settings(max_examples=25, deadline=None)
@given(problems(), st.sampled_from(["parquet", "csv"]))
def test_invariant_5_replay_of_a_record_gives_the_same_ledger(tmp_path_factory, problem, suffix):
    events = session([planned(problem)] * 2)
    path = write_trace(tmp_path_factory.mktemp("t") / f"t.{suffix}", events, Header(sram_bytes=4096))
    for source in (TraceFile(path), read_trace(path)):
        assert replay(source) == replay(events)


@settings(max_examples=25, deadline=None)
@given(problems(), st.sampled_from(["greedy_by_size", "greedy_by_lifetime"]))
def test_a_step_planned_again_is_as_high_as_it_was(problem, planner):
    events = session([planned(problem, planner)])
    again = problem_of(events, align=problem.align)
    # A trace licenses what was done: to begin at least as far below as where it was placed.
    known = {(o.old, o.new): o.distance for o in problem.overlaps}
    assert all(overlap.distance >= known[overlap.old, overlap.new] for overlap in again.overlaps)
    assert lower_bound(again).bytes >= lower_bound(problem).bytes
    assert sorted(again.blocks, key=lambda b: b.name) == sorted(problem.blocks, key=lambda b: b.name)
    result = replay(Trace(Header(align=problem.align), events), planner=planner)
    assert result.peak_bytes == PLANNERS[planner](again).height
    assert result.steps == 1


def test_two_outputs_of_one_op_over_two_dying_inputs_keep_their_lives():
    """Between the births of the two the inputs yield again, which is no death."""
    lives = {f"early{i}": (0, 1 if i < 5 else 2) for i in range(9)}
    lives |= {"first": (0, 2), "tiny": (11, 12), "over": (11, 12), "old": (1, 12), "small": (1, 12)}
    sizes = {**dict.fromkeys(lives, 1), "first": 289, "over": 441, "old": 113}
    pairs = [(old, new) for old in ("old", "small") for new in ("over", "tiny")]
    problem = Problem(
        tuple(Block(name, sizes[name], Interval(*life), Role.ACTIVATION) for name, life in lives.items()),
        align=8, overlaps=tuple(Overlap(old, new, 0) for old, new in pairs),
    )  # fmt: skip
    again = problem_of(session([planned(problem)]), align=8)
    assert {b.name: b.lifetime for b in again.blocks} == {name: Interval(*x) for name, x in lives.items()}


@settings(max_examples=25, deadline=None)
@given(st.lists(problems(blocks=6), min_size=2, max_size=3))
def test_a_session_planned_again_holds_every_step_above_its_residents(plans):
    resident = Block("weights", 100, Interval(0, 12), Role.WEIGHT)
    plans = [Problem((resident, *p.blocks), align=p.align) for p in plans]
    events = session([planned(p, resident=["weights"]) for p in plans])
    result = replay(Trace(Header(align=8), events), planner="greedy_by_size")
    above = [PLANNERS["greedy_by_size"](Problem(p.blocks[1:], align=8)).height for p in plans]
    assert result.peak_bytes == 104 + max(above)
    assert result.peak_bytes >= result.live_bytes == max(lower_bound(Problem(p.blocks)).bytes for p in plans)


def test_equal_steps_are_planned_once(small):
    events = session([planned(small, resident=["w"])] * 10)
    result = replay(events, planner="greedy_by_size")
    assert result.steps == 3  # the first brings the weights, the last takes them
    assert result.live_bytes == 104


def test_residents_may_change_between_steps(small):
    template = planned(small, resident=["w"], ops=4)
    sink = TableSink()
    for step in range(5):
        start, end = 1000 * step, 1000 * step + template.cycles
        sink.write(template.opening, step, start)
        sink.write(template.step, step, start)
        # At times the resident goes only when the next step has begun.
        sink.write(template.closing, step + step // 3, end)
    result = replay(sink.table(), planner="greedy_by_size")
    assert (result.peak_bytes, result.live_bytes) == (104, 104)


def test_irregular_events_fall_back_to_their_own_order():
    rows = [
        (EventKind.ALLOC, "a", 10),
        (EventKind.ALLOC, "b", 20),
        (EventKind.FREE, "a", 10),
        (EventKind.ALLOC, "a", 30),
        (EventKind.FREE, "b", 20),
        (EventKind.FREE, "a", 30),
    ]
    problem = problem_of(trace_of(rows))
    assert [(b.name, b.bytes, b.lifetime.start, b.lifetime.end) for b in problem.blocks] == [
        ("a", 10, 0, 2),
        ("b", 20, 1, 4),
        ("a#2", 30, 3, 5),
    ]


def test_a_block_may_shrink_just_before_it_goes():
    rows = [("alloc", "a", 10), ("op_start", "", 0), ("op_end", "", 0), ("shrink", "a", 4), ("free", "a", 4)]
    (block,) = problem_of(trace_of([(EventKind(kind), name, size) for kind, name, size in rows])).blocks
    assert (block.bytes, block.shrinks) == (10, ())


def test_blocks_have_names_of_their_own_whatever_tensors_are_called():
    rows = []
    for name in ("a", "a#2", "a", "a#2", "a"):
        rows += [(EventKind.ALLOC, name, 1), (EventKind.FREE, name, 1)]
    names = [block.name for block in problem_of(trace_of(rows)).blocks]
    assert names == ["a", "a#2", "a#3", "a#2#2", "a#4"]


def trace_of(rows, offset=None):
    offsets, top, events = {}, 0, []
    for seq, (kind, tensor, size) in enumerate(rows):
        if kind == EventKind.ALLOC and tensor not in offsets:
            offsets[tensor] = top if offset is None else offset
            top += 1000
        events.append(Event(seq, 0, 0, "", kind, "sram", "error", tensor, "", offsets.get(tensor, 0), size))
    return EventTable.from_rows(events)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([(EventKind.FREE, "a", 1)], "row 0: frees 'a', which is not live"),
        ([(EventKind.ALLOC, "a", 1), (EventKind.ALLOC, "a", 1)], "row 1: allocates 'a', which is live"),
        ([(EventKind.ALLOC, "a", 1)] + [(EventKind.FREE, "a", 1)] * 2, "row 2: frees 'a', which is not"),
        ([(EventKind.SHRINK, "a", 1)], "row 0: shrinks 'a', which is not live"),
        ([(EventKind.ALLOC, "a", 1), (EventKind.SHRINK, "a", 2)], "row 1: shrinks 'a' to 2 bytes"),
        ([(EventKind.ALLOC, "a", -1)], "row 0: gives 'a' a size or offset that makes no sense"),
        ([(EventKind.ALLOC, "a", 2**62)], "row 0: gives 'a' a size"),
        ([(EventKind.ALLOC, "a", 2), (EventKind.FREE, "a", 1)], "row 1: frees 'a' with 1 bytes"),
    ],
)
@pytest.mark.parametrize("how", [{}, {"planner": "greedy_by_size"}, {"allocator": "tlsf"}])
def test_events_that_contradict_each_other_are_refused_with_the_row(rows, reason, how):
    with pytest.raises(BadTrace, match=reason):
        replay(trace_of(rows), **how)


def test_overlapping_blocks_are_refused_unless_they_are_placed_anew():
    rows = [(EventKind.ALLOC, "a", 10), (EventKind.ALLOC, "b", 10)]
    with pytest.raises(BadTrace, match="row 1: puts 'b' on top of another"):
        replay(trace_of(rows, offset=0))
    assert replay(trace_of(rows, offset=0), planner="greedy_by_size").live_bytes == 20


@pytest.mark.parametrize("column", ["cycle", "step"])
def test_counters_that_go_back_are_refused(column):
    rows = [Event(i, 0, 0, "", "op_start", "", "", "", "", -1, 0) for i in range(5)]
    rows[3] = rows[3]._replace(**{column: 9})
    with pytest.raises(BadTrace, match=f"row 4: is out of order: {column} 0 after 9"):
        replay(EventTable.from_rows(rows))


def test_what_does_not_fit_says_where_and_by_how_much(small):
    events = session([planned(small)])
    top = replay(events).peak_bytes
    assert replay(events, sram=top).peak_bytes == top
    for how in ({}, {"planner": "greedy_by_size"}):
        with pytest.raises(OutOfSram, match="row") as caught:
            replay(events, sram=top - 1, **how)
        assert caught.value.missing_bytes == 1
        assert caught.value.capacity_bytes == top - 1
        assert caught.value.live


def test_the_hole_is_measured_when_it_does_not_fit():
    rows = [(EventKind.ALLOC, "a", 10), (EventKind.ALLOC, "b", 10), (EventKind.FREE, "a", 10)]
    rows.append((EventKind.ALLOC, "c", 100))
    with pytest.raises(OutOfSram) as caught:
        replay(trace_of(rows), sram=1500)
    # b lies at 1000..1010 and c at 2000..2100, above the capacity.
    assert caught.value.largest_hole_bytes == 1000


def test_the_fullest_moment_is_named_beside_the_first_that_does_not_fit():
    rows = [(EventKind.ALLOC, "a", 10), (EventKind.ALLOC, "b", 10), (EventKind.ALLOC, "c", 100)]
    for how in ({}, {"allocator": "bump"}):
        with pytest.raises(
            OutOfSram, match=r"at row 1.*; fullest at row 2, step 0.*, with 120 B live"
        ) as caught:
            replay(trace_of(rows), sram=20 if how else 1005, **how)
        assert caught.value.fullest.startswith("row 2")


def test_wrong_requests_are_refused(small):
    events = session([planned(small)])
    with pytest.raises(BadArgument, match="both"):
        replay(events, planner="best", allocator="bump")
    with pytest.raises(UnknownName, match="planner 'bset'"):
        replay(events, planner="bset")
    with pytest.raises(BadArgument, match="size"):
        replay(events, sram="-3")


def heap_of(events, allocator, capacity):
    """The slow twin: the heap, event by event."""
    heap, places = ALLOCATORS[allocator](capacity), {}
    for event in events:
        if event.region != "sram":
            continue
        if event.event == EventKind.ALLOC:
            places[event.tensor] = heap.alloc(event.bytes)
        elif event.event == EventKind.FREE:
            heap.free(places.pop(event.tensor))
        elif event.event == EventKind.SHRINK:
            heap.shrink(places[event.tensor], event.bytes)
    return heap


@settings(max_examples=10, deadline=None)
@given(problems(), st.sampled_from(sorted(ALLOCATORS)))
def test_an_allocator_needs_what_its_heap_says(problem, allocator):
    events = session([planned(problem)] * 2)
    result = replay(Trace(Header(sram_bytes=2**16), events), allocator=allocator)
    assert result.peak_bytes == heap_of(events, allocator, result.sram_bytes).peak_bytes
    assert result.live_bytes == ledger_of(events).peak.live_bytes
    assert result.peak_bytes >= result.live_bytes
    assert replay(events, allocator=allocator, sram=result.sram_bytes).peak_bytes == result.peak_bytes


@pytest.mark.parametrize("allocator", ["first_fit", "bump"])
def test_a_heap_that_is_too_small_fails_at_the_row(small, allocator):
    events = session([planned(small)])
    with pytest.raises(OutOfSram, match="row 5, step 0, op op1") as caught:
        replay(events, allocator=allocator, sram=84 + ALLOCATORS[allocator](84).control_bytes)
    assert [block.name for block in caught.value.live] == ["x", "w"]
    assert caught.value.missing_bytes > 0


def test_an_allocator_without_capacity_gets_a_heap_that_fits(small):
    events = session([planned(small)] * 100)
    result = replay(events, allocator="bump")
    assert result.peak_bytes <= result.sram_bytes
    assert result.overhead_bytes >= 0


def test_an_empty_trace_needs_nothing():
    for how in ({}, {"planner": "greedy_by_size"}, {"allocator": "first_fit"}):
        result = replay(EventTable.empty(), **how)
        assert (result.live_bytes, result.peak_bytes, result.events) == (0, 0, 0)
        assert result.moment.row == -1


def test_groups_of_a_file_make_no_difference(tmp_path, monkeypatch, small):
    events = session([planned(small)] * 5)
    whole = write_trace(tmp_path / "whole.csv", events, Header())
    monkeypatch.setattr("mcusim.traces.csv_format.GROUP", 3)
    monkeypatch.setattr(store, "GROUP", 3)
    for how in ({}, {"planner": "greedy_by_size"}, {"allocator": "first_fit"}):
        assert replay(TraceFile(whole), **how) == replay(events, **how)


def test_results_are_plain_data(small):
    data = replay(session([planned(small)]), sram="1KiB").as_dict()
    assert data["fits"] is True
    assert data["sram_bytes"] == 1024
    assert data["fragmentation_bytes"] == data["peak_bytes"] - data["live_bytes"]


def test_templates_place_events_between_ops(small):
    template = planned(small, resident=["w"], ops=4)
    assert [e.event for e in template.opening] == ["alloc"]
    assert [e.event for e in template.closing] == ["free"]
    kinds = [(e.event, e.tensor or e.op) for e in template.step]
    assert kinds == [
        ("step_start", ""),
        ("alloc", "x"), ("op_start", "op0"), ("op_end", "op0"),
        ("alloc", "y"), ("op_start", "op1"), ("op_end", "op1"),
        ("shrink", "x"), ("op_start", "op2"), ("op_end", "op2"),
        ("free", "x"), ("op_start", "op3"), ("op_end", "op3"),
        ("free", "y"), ("step_end", ""),
    ]  # fmt: skip
    assert template.cycles == sum(span.cycles for span in spans(4)) == template.step.cycle[-1]
