"""Traces to replay: planned steps with random blocks."""

from itertools import permutations

from hypothesis import strategies as st

from mcusim.core import Interval, Role
from mcusim.events import TableSink
from mcusim.memory import PLANNERS, Block, Overlap, Problem
from mcusim.traces import OpSpan, step_template

ALIGN = 8
ROLES = [Role.ACTIVATION, Role.FEATURE, Role.ERROR, Role.WEIGHT, Role.SCRATCH]


@st.composite
def problems(draw, ops=12, blocks=14):
    """Draw blocks over ``ops`` ops; some shrink, and some may overlap others."""

    def block(index):
        start = draw(st.integers(0, ops - 1))
        end = draw(st.integers(start + 1, ops))
        size = draw(st.integers(1, 500))
        shrinks = ()
        if end - start > 2 and size > 4 and draw(st.booleans()):
            shrinks = ((draw(st.integers(start + 1, end - 1)), draw(st.integers(1, size - 1))),)
        return Block(f"t{index}", size, Interval(start, end), draw(st.sampled_from(ROLES)), 1, shrinks)

    made = tuple(block(i) for i in range(draw(st.integers(1, blocks))))
    overlaps = tuple(
        Overlap(old.name, new.name, draw(st.integers(0, new.bytes - 1)))
        for old, new in permutations(made, 2)
        if old.lifetime.end == new.lifetime.start + 1 and 0 < old.lifetime.start < new.lifetime.start
    )
    return Problem(made, align=ALIGN, overlaps=overlaps)


def spans(ops=12):
    return [OpSpan(f"op{i}", "forward" if i < ops // 2 else "backward", 100 + i) for i in range(ops)]


def planned(problem, planner="greedy_by_size", *, resident=(), ops=12):
    return step_template(problem, PLANNERS[planner](problem).offsets, spans(ops), resident=resident)


def session(templates):
    """Write each template as one step; residents of the first stay throughout."""
    sink = TableSink()
    cycle = 0
    sink.write(templates[0].opening, 0, 0)
    for step, template in enumerate(templates):
        sink.write(template.step, step, cycle)
        cycle += template.cycles
    sink.write(templates[0].closing, len(templates) - 1, cycle)
    return sink.table()


def small_problem():
    """Three blocks with known figures: 64 + 32 live at op 1, then 16 + 32."""
    return Problem(
        (
            Block("x", 64, Interval(0, 3), Role.INPUT, shrinks=((2, 16),)),
            Block("y", 32, Interval(1, 4), Role.ERROR),
            Block("w", 8, Interval(0, 4), Role.WEIGHT),
        ),
        align=ALIGN,
    )
