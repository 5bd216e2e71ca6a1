"""What maps mark as shared is what the plan lets outputs take from their inputs."""

from networks import small_network
from traces_plans import planned, session, small_problem

import mcusim
from mcusim.reporting.rooms.arena import ArenaPicture
from mcusim.reporting.subject import trace_of
from mcusim.traces.sharing import shared


def overlapping(plan):
    """Return, by the names of both, how many bytes of a dying input lie under the output of the same op."""
    offsets, found = plan.solution.offsets, {}
    for overlap in plan.problem.overlaps:
        blocks = {block.name: block for block in plan.problem.blocks}
        old, new = blocks[overlap.old], blocks[overlap.new]
        ends = (offsets[old.name] + old.bytes_at(new.lifetime.start), offsets[new.name] + new.bytes)
        count = min(ends) - max(offsets[old.name], offsets[new.name])
        if count > 0:
            found[old.name, new.name] = count
    return found


def test_every_overlap_of_a_plan_is_marked_with_its_bytes():
    plans = [mcusim.plan("synthetic-mbv2", "nrf52840", update) for update in ("head", "dynamic", "none")]
    plans.append(mcusim.plan(small_network(), "nrf52840", "dense", patches="off"))
    for plan in plans:
        marked = {(one.old, one.new): one.bytes for one in shared(trace_of(plan).events)}
        assert marked == overlapping(plan)
    assert any(overlapping(plan) for plan in plans)


def test_the_page_says_with_what_a_tensor_shares_bytes():
    trace = trace_of(mcusim.plan("synthetic-mbv2", "nrf52840", "head"))
    picture = ArenaPicture.of(trace.events, trace.header)
    (op, one), *_ = picture.overlaps
    drawn = picture.svg()
    assert drawn.count('class="shared"') == len(picture.overlaps)
    assert f"shares {one.bytes:,} B with {one.new}" in drawn
    assert f"shares {one.bytes:,} B with {one.old}" in drawn
    assert picture.ops[op][0] == one.new
    assert picture.notes()[0].startswith("Hatched")


def test_a_trace_without_overlaps_has_none():
    assert shared(session([planned(small_problem())])) == []
