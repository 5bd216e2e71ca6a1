"""The events of a planned step: from blocks with lifetimes to allocs and frees around ops."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mcusim.core.vocabulary import Region, Role
from mcusim.events import EventKind, EventTable, TableBuilder
from mcusim.memory.block import Block
from mcusim.memory.overlap import OverlapPair
from mcusim.memory.problem import Problem


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
    problem: Problem,
    offsets: Mapping[str, int],
    ops: Sequence[OpSpan],
    *,
    resident: Collection[str] = (),
    reuses: Mapping[str, Sequence[tuple[int, Role, int]]] | None = None,
) -> StepTemplate:
    """Return the events of a step.

    Op ``t`` is preceded by the frees of the blocks whose lifetime ends at ``t``, the shrinks at ``t``
    and the allocs of the blocks that begin at ``t``, those first that grow over others, each after what these
    yield. So what is live between two events of
    one op is what the plan says is live at ``t``. Blocks without bytes leave no event.

    Args:
        problem: the blocks; lifetimes count the entries of ``ops``.
        offsets: of the blocks.
        ops: name, phase and cycles of each op, in execution order.
        resident: names of blocks that stay from step to step.
        reuses: for blocks that in-place ops pass on, ``(time, role, bytes)`` of each new owner; a
            shrink event then also tells the role. Without it a block keeps its role.
    """
    blocks = [block for block in problem.blocks if block.bytes]
    staying = [block for block in blocks if block.name in resident]
    passing = [block for block in blocks if block.name not in resident]
    opening, step, closing = TableBuilder(), TableBuilder(), TableBuilder()
    for block in staying:
        _event(opening, EventKind.ALLOC, block, offsets, block.bytes, block.role)
        _event(closing, EventKind.FREE, block, offsets, block.bytes, block.role)

    born: dict[int, list[Block]] = {}
    shrinking: dict[int, list[tuple[Block, Role, int]]] = {}
    last = {block.name: block.role for block in blocks}
    dying: dict[int, list[Block]] = {}
    for block in passing:
        born.setdefault(max(block.lifetime.start, 0), []).append(block)
        dying.setdefault(min(block.lifetime.end, len(ops)), []).append(block)
        own = [(time, block.role, size) for time, size in block.shrinks]
        for time, role, size in (reuses or {}).get(block.name, own):
            shrinking.setdefault(time, []).append((block, role, size))
            last[block.name] = role

    grown: dict[str, list[OverlapPair]] = {}
    rest: dict[str, tuple[int, int]] = {}
    for pair in problem.pairs:
        shared = pair.shared(offsets[pair.old.name], offsets[pair.new.name])
        if shared and pair.old.name not in resident:
            grown.setdefault(pair.new.name, []).append(pair)
            rest[pair.old.name] = (pair.left - shared, offsets[pair.old.name] + shared)

    cycle = 0
    step.add(EventKind.STEP_START)
    for time, op in enumerate([*ops, OpSpan("", "", 0)]):
        place: dict[str, Any] = {"cycle": cycle, "phase": op.phase, "op": op.name}
        for block in dying.get(time, ()):
            size, at = rest.get(block.name, (block.bytes_at(block.lifetime.end - 1), offsets[block.name]))
            _event(step, EventKind.FREE, block, {block.name: at}, size, last[block.name], **place)
        for block, role, size in shrinking.get(time, ()):
            _event(step, EventKind.SHRINK, block, offsets, size, role, **place)
        for block in sorted(born.get(time, ()), key=lambda block: block.name not in grown):
            for pair in grown.get(block.name, ()):
                size, at = rest[pair.old.name]
                role = last[pair.old.name]
                _event(step, EventKind.YIELD, pair.old, {pair.old.name: at}, size, role, **place)
            _event(step, EventKind.ALLOC, block, offsets, block.bytes, block.role, **place)
        if time < len(ops):
            step.add(EventKind.OP_START, **place)
            cycle += op.cycles
            step.add(EventKind.OP_END, **place | {"cycle": cycle})
    step.add(EventKind.STEP_END, cycle=cycle)
    return StepTemplate(opening.build(), step.build(), closing.build(), cycle)


def _event(
    builder: TableBuilder,
    kind: EventKind,
    block: Block,
    offsets: Mapping[str, int],
    size: int,
    role: Role,
    **place: Any,
) -> None:
    builder.add(
        kind,
        region=Region.SRAM,
        role=role,
        tensor=block.name,
        offset=offsets[block.name],
        bytes=size,
        **place,
    )
