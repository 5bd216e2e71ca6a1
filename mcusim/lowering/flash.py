"""What lies in flash: program, constants, and the area that learned parameters are written back to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcusim.core import Kind, Role, Slot, SlotPart
from mcusim.graph import Arithmetic, Model, Op
from mcusim.graph.outputs import heads
from mcusim.lowering.step import Step
from mcusim.mcu.board import Board


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

    Program first, then per op weights, bias and rescaling constants (8 bytes an output channel in the
    tflite profile: multiplier and shift; 4 in the float profiles), 4-byte aligned, then two copies of
    the learned parameters on erase units of their own, so that one copy is whole at any moment. What
    learns lies in these copies only: the first of them is programmed with the network as it came.
    """
    items: list[FlashItem] = []
    offset = 0

    def place(name: str, role: Role, size: int, align: int = 4) -> None:
        nonlocal offset
        if size:
            offset = -(-offset // align) * align
            items.append(FlashItem(name, role, offset, size))
            offset += size

    model = step.model
    place("program", Role.CODE, board.runtime.code_bytes)
    for op in model.ops:
        if not op.traits.weighted:
            continue
        head = op.name in heads(model)
        weight, bias = learns(step, op)
        if not weight:
            size = model.tensors[op.inputs[1]].bytes
            place(Slot(op.name, Kind.VALUE, SlotPart.WEIGHT), Role.HEAD if head else Role.WEIGHT, size)
        if op.bias is not None and not bias:
            size = model.tensors[op.bias].bytes
            place(Slot(op.name, Kind.VALUE, SlotPart.BIAS), Role.HEAD if head else Role.BIAS, size)
        place(Slot(op.name, Kind.QUANT), Role.QUANT, _quant_bytes(model, op.output, op.inputs[1]))
    if step.front_end is not None:
        place("front_end", Role.WEIGHT, step.front_end.table_bytes)
    learned = checkpoint_bytes(step)
    if learned:
        unit = max(s.bytes for s in board.flash.sectors[-1:])
        area = -(-learned // unit) * unit
        place("checkpoint A", Role.CHECKPOINT, area, unit)
        place("checkpoint B", Role.CHECKPOINT, area, unit)
    return FlashLayout(tuple(items), board.flash.bytes)


def checkpoint_bytes(step: Step) -> int:
    """Return the bytes of one copy of the learned parameters, residuals and master weights included."""
    total = 0
    for op in step.model.ops:
        parameters = zip(SlotPart, learns(step, op), (op.weight, op.bias), strict=True)
        for part, learning, name in parameters:
            if learning and name is not None:
                tensor = step.model.tensors[name]
                total += tensor.elements * step.formats.parameter(part, tensor.dtype).bytes
    return total


def learns(step: Step, op: Op) -> tuple[bool, bool]:
    """Return whether the weight and the bias of an op may change while training."""
    head = step.scope.head and op.name in heads(step.model)
    return head or op.name in step.scope.eligible, head or op.name in step.scope.biases


def _quant_bytes(model: Model, output: str, weight: str) -> int:
    quant = model.tensors[weight].quant
    if quant is None:
        return 0
    channels = model.tensors[output].shape[-1]
    return channels * (8 if model.arithmetic is Arithmetic.TFLITE else 4)
