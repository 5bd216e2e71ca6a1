"""What lies in flash: program, constants, and the area that learned parameters are written back to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mcusim.core import PARAMETER_KINDS, Interval, Kind, Role, Slot, SlotPart
from mcusim.graph import DTYPES, Model, Op, OpKind
from mcusim.graph.outputs import heads
from mcusim.kernels.reference.int16 import is_int16
from mcusim.lowering.constants import actions, quant_bytes, record_bytes
from mcusim.lowering.step import Step
from mcusim.mcu.board import Board
from mcusim.mcu.flash.areas import behind, placed
from mcusim.mcu.flash.ring import Ring
from mcusim.mcu.flash.store import header_bytes
from mcusim.update.channels import bias_can_learn, layer, readers

ITERATION_BYTES = 8
COLUMNS, RESIDENT = 24, 28
"""Bytes of what says where the columns of a weight in flash lie, and of what lists them."""
LEARNED = (Kind.VALUE, Kind.RESIDUAL, Kind.MASTER)
"""Kinds of tensors that a copy holds in any case."""
COPIES = (("checkpoint A", Role.CHECKPOINT), ("checkpoint B", Role.CHECKPOINT))
REPLAY = ("replay", Role.REPLAY)


@dataclass(frozen=True, slots=True)
class FlashItem:
    """One constant at its place in flash."""

    name: str
    role: Role
    offset: int
    bytes: int


@dataclass(frozen=True, slots=True)
class FlashLayout:
    """Every constant of a session, in order, and the areas that are rewritten."""

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

    @property
    def copies(self) -> tuple[Interval, ...]:
        """Where the two copies of what is learned lie; none if nothing learns, or not all of it fits."""
        found = (i for i in self.items if i.role is Role.CHECKPOINT and self.fits)
        return tuple(Interval(i.offset, i.offset + i.bytes) for i in found)


def flash_layout(step: Step, board: Board) -> FlashLayout:
    """Place the constants of a step, and the areas that are rewritten.

    Program first, then per op scales and tables (see ``constants``), weights, bias and other constants, then
    the records of the ops, all 4-byte aligned, and two copies of the learned parameters on erase units of
    their own, so that one copy is whole at any moment. What learns lies in these copies only: the first of
    them is programmed with the network as it came. Left out are the numbers of channels of a selection that
    never changes. Examples that are kept lie on erase units of their own too: what is rewritten there must
    not take the program with it.

    Where sectors are of different sizes, the choice of them is searched (see ``areas.placed``).
    """
    items = [(name, role, size) for name, role, size in _constants(step, board) if size]
    sizes = [size for _, _, size in items]
    learned = checkpoint_bytes(step)
    ring = 0 if step.kept is None else Ring(board, *step.kept).bytes
    wanted = (header_bytes(board) + learned if learned else 0, ring)
    found = placed(board.flash, sizes, *wanted) if len(board.flash.sectors) > 1 and any(wanted) else None
    offsets, places = found or behind(board.flash, sizes, *wanted)
    constants = (FlashItem(n, r, at, size) for (n, r, size), at in zip(items, offsets, strict=True))
    names = [*(COPIES if learned else ()), *([REPLAY] if ring else ())]
    areas = (FlashItem(n, r, at.start, len(at)) for (n, r), at in zip(names, places, strict=True))
    return FlashLayout((*constants, *areas), board.flash.bytes)


def _constants(step: Step, board: Board) -> Iterator[tuple[str, Role, int]]:
    """Yield what is never rewritten: name, role and bytes, in order."""
    model, shared = step.model, set[str]()
    yield "program", Role.CODE, board.runtime.code_bytes
    done = actions(step)
    tables = set[object]()
    for op in model.ops:
        if (key := _table(model, op)) is None or key not in tables:
            yield Slot(op.name, Kind.QUANT), Role.QUANT, quant_bytes(step, op, done.get(op.name, set()))
            tables.add(key)
        head = op.name in heads(model)
        if op.traits.weighted:
            for part, learning, name in zip(SlotPart, learns(step, op), (op.weight, op.bias), strict=True):
                if not learning and name is not None and name not in shared:
                    shared.add(name)
                    role = Role.WEIGHT if part is SlotPart.WEIGHT else Role.BIAS
                    slot = Slot(op.name, Kind.VALUE, part)
                    yield slot, Role.HEAD if head else role, model.tensors[name].bytes
        else:  # factors, offsets, slopes: what several ops share lies there once
            for name in op.inputs:
                if model.tensors[name].constant and name not in shared:
                    shared.add(name)
                    yield name, Role.WEIGHT, model.tensors[name].bytes
    for state in model.states:  # first values that are no single number
        first = model.tensors[state.initial]
        if first.data is not None and first.elements > 1 and np.ptp(first.data.view(np.uint8)):
            yield state.initial, Role.WEIGHT, first.bytes
    yield "records", Role.QUANT, record_bytes(step)
    yield "columns", Role.QUANT, columns_bytes(step)
    yield "choice", Role.QUANT, step.choice_bytes
    if step.front_end is not None:
        yield "front_end", Role.WEIGHT, step.front_end.tables.bytes


def _table(model: Model, op: Op) -> object:
    """Return what tells the tables of an op from others; None if they are its own in any case."""
    x, y = model.tensors[op.inputs[0]], model.tensors[op.output]
    if is_int16(op, model.tensors) and not op.traits.weighted:
        return OpKind.LOGISTIC if op.kind is OpKind.TANH else op.kind
    if not op.traits.weighted or readers(model)[op.inputs[1]] == 1 or x.quant is None or y.quant is None:
        return None
    return op.weight, *((tensor.dtype, tensor.quant.scale.tobytes()) for tensor in (x, y) if tensor.quant)


def learned_parameters(step: Step) -> dict[Slot, int]:
    """Return the bytes in a checkpoint of every learned parameter by its slot: residuals and master weights
    included, and of weights that live in flash what optimisers keep of channels that may learn again.
    """
    found: dict[Slot, int] = {}
    for op in step.model.ops:
        parameters = zip(SlotPart, learns(step, op), (op.weight, op.bias), strict=True)
        for part, learning, name in parameters:
            if learning and name is not None:
                tensor = step.model.tensors[name]
                own = step.formats.parameter(part, tensor.dtype).bytes
                if part is SlotPart.WEIGHT:
                    own += sum(DTYPES[step.tensors[slot].dtype] for slot in kept_moments(step, op))
                found[Slot(op.name, Kind.VALUE, part)] = tensor.elements * own
    return found


def in_columns(step: Step, slot: Slot) -> bool:
    """True if only selected channels of a slot of a parameter lie in SRAM."""
    return slot.part is SlotPart.WEIGHT and step.in_flash(step.model.op(slot.of))


def copied_slots(step: Step) -> list[Slot]:
    """Return what a copy holds of every parameter, op by op."""
    return [
        slot
        for op in step.model.ops
        for part in SlotPart
        for kind in PARAMETER_KINDS
        if (slot := Slot(op.name, kind, part)) in step.tensors
        and (kind in LEARNED or slot in kept_moments(step, op))
    ]


def columns_bytes(step: Step) -> int:
    """Return the bytes of the tables that say where columns of weights in flash lie."""
    count = sum(in_columns(step, slot) for slot in copied_slots(step))
    return COLUMNS * count + RESIDENT if count else 0


def kept_moments(step: Step, op: Op) -> tuple[Slot, ...]:
    """Return what optimisers keep of a weight in flash of which not all channels learn in every stage.

    Those that do not learn now have no room in SRAM: what is kept of them is written back with the weight.
    """
    channels = layer(step.model, op).channels if step.in_flash(op) else 0
    if not channels or (step.scope.fixed and step.scope.channels.get(op.name) == channels):
        return ()
    slots = (Slot(op.name, kind, SlotPart.WEIGHT) for kind in (Kind.MOMENTUM, Kind.SQUARE))
    return tuple(slot for slot in slots if slot in step.tensors)


def checkpoint_bytes(step: Step) -> int:
    """Return the bytes of one copy of the learned parameters and the number of steps done."""
    total = sum(learned_parameters(step).values())
    return total + (ITERATION_BYTES if total else 0)


def learns(step: Step, op: Op) -> tuple[bool, bool]:
    """Return whether the weight and the bias of an op may change while training."""
    head = step.scope.head and op.name in heads(step.model)
    bias = (head or op.name in step.scope.biases) and bias_can_learn(step.model, op)
    return head or op.name in step.scope.eligible, bias
