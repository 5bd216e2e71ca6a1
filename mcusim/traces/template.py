"""The events of a planned step: from blocks with lifetimes to allocs and frees around ops."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mcusim.core.vocabulary import Region
from mcusim.events import EventKind, EventTable, TableBuilder
from mcusim.memory.block import Block
from mcusim.memory.problem import Problem, Solution


class OpSpan(NamedTuple):
    """An op of a step, as a trace knows it."""

    name: str
    phase: str
    cycles: int


@dataclass(frozen=True, slots=True)
class StepTemplate:
    """The events of a session whose every step follows one plan, with relative cycles.

    ``opening`` is written once before the first step and ``closing`` once after the last;
    they bring and take the blocks that outlive a step.
    """

    opening: EventTable
    step: EventTable
    closing: EventTable
    cycles: int
    """Length of one step."""


def step_template(
    problem: Problem, solution: Solution, ops: Sequence[OpSpan], *, resident: Collection[str] = ()
) -> StepTemplate:
    """Return the events of a step.

    Op ``t`` is preceded by the frees of the blocks whose lifetime ends at ``t``, the shrinks at ``t``
    and the allocs of the blocks that begin at ``t``. So what is live between two events of
    one op is what the plan says is live at ``t``. Blocks without bytes leave no event.

    Args:
        problem: the blocks; lifetimes count the entries of ``ops``.
        solution: their offsets.
        ops: name, phase and cycles of each op, in execution order.
        resident: names of blocks that stay from step to step.
    """
    blocks = [block for block in problem.blocks if block.bytes]
    staying = [block for block in blocks if block.name in resident]
    passing = [block for block in blocks if block.name not in resident]
    opening, step, closing = TableBuilder(), TableBuilder(), TableBuilder()
    for block in staying:
        _alloc(opening, block, solution)
        _free(closing, block, solution)

    born: dict[int, list[Block]] = {}
    shrinking: dict[int, list[tuple[Block, int]]] = {}
    dying: dict[int, list[Block]] = {}
    for block in passing:
        born.setdefault(max(block.lifetime.start, 0), []).append(block)
        dying.setdefault(min(block.lifetime.end, len(ops)), []).append(block)
        for time, size in block.shrinks:
            shrinking.setdefault(time, []).append((block, size))

    cycle = 0
    step.add(EventKind.STEP_START)
    for time, op in enumerate([*ops, OpSpan("", "", 0)]):
        place: dict[str, Any] = {"cycle": cycle, "phase": op.phase, "op": op.name}
        for block in dying.get(time, ()):
            _free(step, block, solution, **place)
        for block, size in shrinking.get(time, ()):
            _event(step, EventKind.SHRINK, block, solution, size, **place)
        for block in born.get(time, ()):
            _alloc(step, block, solution, **place)
        if time < len(ops):
            step.add(EventKind.OP_START, **place)
            cycle += op.cycles
            step.add(EventKind.OP_END, **place | {"cycle": cycle})
    step.add(EventKind.STEP_END, cycle=cycle)
    return StepTemplate(opening.build(), step.build(), closing.build(), cycle)


def _alloc(builder: TableBuilder, block: Block, solution: Solution, **place: Any) -> None:
    _event(builder, EventKind.ALLOC, block, solution, block.bytes, **place)


def _free(builder: TableBuilder, block: Block, solution: Solution, **place: Any) -> None:
    _event(builder, EventKind.FREE, block, solution, block.bytes_at(block.lifetime.end - 1), **place)


def _event(
    builder: TableBuilder, kind: EventKind, block: Block, solution: Solution, size: int, **place: Any
) -> None:
    builder.add(
        kind,
        region=Region.SRAM,
        role=block.role,
        tensor=block.name,
        offset=solution.offsets[block.name],
        bytes=size,
        **place,
    )
