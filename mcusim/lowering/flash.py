"""What lies in flash: program, constants, and the area that learned parameters are written back to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcusim.core import Kind, Role, Slot, SlotPart
from mcusim.graph import Op
from mcusim.graph.outputs import heads
from mcusim.lowering.constants import actions, quant_bytes, record_bytes
from mcusim.lowering.step import Step
from mcusim.mcu.board import Board
from mcusim.mcu.flash.ring import Ring
from mcusim.mcu.flash.store import header_bytes

ITERATION_BYTES = 8


@dataclass(frozen=True, slots=True)
class FlashItem:
    """One constant at its place in flash."""

    name: str
    role: Role
    offset: int
    bytes: int


@dataclass(frozen=True, slots=True)
class FlashLayout:
    """Every constant of a session, in order, with the checkpoint area at the end."""

    items: tuple[FlashItem, ...]
    capacity_bytes: int

    @property
    def total_bytes(self) -> int:
        """Bytes from the start of flash to the end of the last item."""
        return max((i.offset + i.bytes for i in self.items), default=0)

    @property
    def by_role(self) -> Mapping[Role, int]:
        """Bytes of each role, alignment left out."""
        totals: dict[Role, int] = {}
        for item in self.items:
            totals[item.role] = totals.get(item.role, 0) + item.bytes
        return totals

    @property
    def fits(self) -> bool:
        """True if it all fits."""
        return self.total_bytes <= self.capacity_bytes


def flash_layout(step: Step, board: Board) -> FlashLayout:
    """Place the constants of a step.

    Program first, then per op scales and tables (see ``constants``), weights, bias and other constants, then
    the records of the ops, all 4-byte aligned, then two copies of the learned parameters on erase units of
    their own, so that one copy is whole at any moment. What learns lies in these copies only: the first of
    them is programmed with the network as it came. Left out are the numbers of channels of a selection that
    never changes.
    """
    items: list[FlashItem] = []
    offset = 0

    def place(name: str, role: Role, size: int, align: int = 4) -> None:
        nonlocal offset
        if size:
            offset = -(-offset // align) * align
            items.append(FlashItem(name, role, offset, size))
            offset += size

    model, placed = step.model, set[str]()
    place("program", Role.CODE, board.runtime.code_bytes)
    done = actions(step)
    for op in model.ops:
        place(Slot(op.name, Kind.QUANT), Role.QUANT, quant_bytes(step, op, done.get(op.name, set())))
        head = op.name in heads(model)
        if op.traits.weighted:
            for part, learning, name in zip(SlotPart, learns(step, op), (op.weight, op.bias), strict=True):
                if not learning and name is not None:
                    role = Role.WEIGHT if part is SlotPart.WEIGHT else Role.BIAS
                    size = model.tensors[name].bytes
                    place(Slot(op.name, Kind.VALUE, part), Role.HEAD if head else role, size)
        else:  # factors, offsets, slopes: what several ops share lies there once
            for name in op.inputs:
                if model.tensors[name].constant and name not in placed:
                    placed.add(name)
                    place(name, Role.WEIGHT, model.tensors[name].bytes)
    place("records", Role.QUANT, record_bytes(step))
    if step.front_end is not None:
        place("front_end", Role.WEIGHT, step.front_end.table_bytes)
    learned = checkpoint_bytes(step)
    if learned:
        unit = max(s.bytes for s in board.flash.sectors[-1:])
        area = -(-(header_bytes(board) + learned) // unit) * unit
        place("checkpoint A", Role.CHECKPOINT, area, unit)
        place("checkpoint B", Role.CHECKPOINT, area, unit)
    if step.kept is not None:
        # On erase units of its own: what is rewritten there must not take the program with it.
        ring = Ring(board, *step.kept)
        place("replay", Role.REPLAY, ring.bytes, ring.unit)
    return FlashLayout(tuple(items), board.flash.bytes)


def learned_parameters(step: Step) -> dict[Slot, int]:
    """Return the bytes in a checkpoint of every learned parameter by its slot: residuals and master weights
    included.
    """
    found: dict[Slot, int] = {}
    for op in step.model.ops:
        parameters = zip(SlotPart, learns(step, op), (op.weight, op.bias), strict=True)
        for part, learning, name in parameters:
            if learning and name is not None:
                tensor = step.model.tensors[name]
                size = tensor.elements * step.formats.parameter(part, tensor.dtype).bytes
                found[Slot(op.name, Kind.VALUE, part)] = size
    return found


def checkpoint_bytes(step: Step) -> int:
    """Return the bytes of one copy of the learned parameters and the number of steps done."""
    total = sum(learned_parameters(step).values())
    return total + (ITERATION_BYTES if total else 0)


def learns(step: Step, op: Op) -> tuple[bool, bool]:
    """Return whether the weight and the bias of an op may change while training."""
    head = step.scope.head and op.name in heads(step.model)
    return head or op.name in step.scope.eligible, head or op.name in step.scope.biases
