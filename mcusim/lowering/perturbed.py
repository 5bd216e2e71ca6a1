"""Emits what a step does in place of a backward pass: a pass with moved parameters, and the way back.

The pass has tensors of its own, so that they are dead before the second one begins. The selected weights are
kept as they are in one byte each from the first move to the estimate, since a move that ends at the limit of
the integers cannot be undone; biases are moved back exactly. Directions are drawn where they are needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import prod

from mcusim.core import BadModel, Kind, Phase, Role, Slot, SlotPart, Work
from mcusim.graph import Model, Op
from mcusim.lowering.action import Action
from mcusim.lowering.backward import STATE_OPS
from mcusim.lowering.builder import Builder
from mcusim.lowering.forward import emit_op
from mcusim.lowering.gradients import Flow
from mcusim.lowering.parameters import Parameters
from mcusim.lowering.work import What, backward_work
from mcusim.tasks.goals import Goals

PROBE = "@probe"
"""Ends the names of the tensors and ops of the first pass."""
DRAW_OPS = 10
"""Integer operations of the sign of one element: the finalizer of SplitMix64 (Steele et al. 2014) of a key
and its place, with three shifts, as many exclusive-ors and two products."""


def clean_name(op: Op) -> Slot:
    """Return the name of the selected weights of an op as they are while moved ones stand in their place."""
    return Slot(f"{op.name}:perturb", Kind.SCRATCH)


class Perturbed:
    """Emits the perturbations of a step.

    Raises:
        BadModel: if an op that learns gives no int8, beside the classifier.
    """

    def __init__(
        self, builder: Builder, model: Model, flow: Flow, parameters: Parameters, goals: Goals
    ) -> None:
        self.builder, self.model, self.parameters, self.goals = builder, model, parameters, goals
        self.logits = flow.logits
        self.ops = [op for op in flow.ops if parameters.learns(op) and not parameters.is_head(op)]
        for op in self.ops:
            dtype = model.tensors[op.output].dtype
            if dtype != "int8":
                reason = f"gives {dtype} numbers, and integers of 8 bits are perturbed"
                raise BadModel(f"op {op.name!r}", reason, "let other layers learn")

    def emit_probe(self, ops: Iterable[Op], *, in_place: bool) -> None:
        """Emit the first move, a pass, its loss, and the second move."""
        ops = tuple(ops)
        builder, tensors = self.builder, dict(self.model.tensors)
        self._emit_moves("perturb", 0)
        made = {op.output for op in ops}
        tensors |= {name + PROBE: replace(tensors[name], name=name + PROBE) for name in made}
        for op in ops:
            inputs = tuple(name + PROBE if name in made else name for name in op.inputs)
            emit_op(
                builder, replace(op, inputs=inputs, output=op.output + PROBE), tensors,
                parameters=self.parameters.read_by(op), in_place=in_place, tag=PROBE, source=op,
            )  # fmt: skip
        for goal, name in zip(self.goals.items, self.logits, strict=True):
            target = goal.target(self.model)
            builder.op(
                "loss" + PROBE if self.goals.single is not None else f"loss:{goal.output}{PROBE}",
                Action.PROBE, Phase.LOSS,
                reads=(name + PROBE, *(() if target is None else (target.name,))),
                work=replace(goal.task.work(tensors[name], target), outputs=0),
            )  # fmt: skip
        self._emit_moves("flip", 1)

    def emit_estimates(self) -> None:
        """Emit the way back and the step of each parameter."""
        for op, part, names, count in self._parts():
            what: What = "update" if part is SlotPart.WEIGHT else "update_bias"
            work = backward_work(op, self.model.tensors, what, channels=self._channels(op))
            state = [
                slot for kind in (Kind.MOMENTUM, Kind.SQUARE)
                if (slot := Slot(op.name, kind, part)) in self.builder.drafts
            ]  # fmt: skip
            extra = sum(STATE_OPS[slot.kind] for slot in state) * count
            work = replace(
                work, int_ops=work.int_ops + (DRAW_OPS + 1) * count, float_ops=work.float_ops + extra
            )
            kept = [clean_name(op)] if part is SlotPart.WEIGHT else []
            self._emit("estimate", Action.ESTIMATE, op, part, [*kept, *names, *state], [*names, *state], work)

    def _emit_moves(self, verb: str, index: int) -> None:
        for op, part, names, count in self._parts():
            work = Work("perturb", outputs=count, input_bytes=count, int_ops=(DRAW_OPS + 3) * count)
            reads, writes = list(names[:1]), list(names[:1])
            if part is SlotPart.WEIGHT:
                shape = self.parameters.selected_shape(op)
                clean = clean_name(op)
                self.builder.tensor(clean, shape, "int8", Role.WEIGHT)
                (reads if index else writes).append(clean)
                reads.append(names[-1])
            self._emit(verb, Action.PERTURB, op, part, reads, writes, work, index)

    def _emit(
        self, verb: str, action: Action, op: Op, part: SlotPart, reads: list[Slot], writes: list[Slot],
        work: Work, index: int = 0,
    ) -> None:  # fmt: skip
        self.builder.op(
            f"{op.name}:{verb}_{part}", action, Phase.UPDATE if action is Action.ESTIMATE else Phase.FORWARD,
            source=op, reads=reads, writes=writes, work=work, part=part, index=index,
            partly=self._partly(op, reads) if part is SlotPart.WEIGHT else {},
        )  # fmt: skip

    def _parts(self) -> Iterator[tuple[Op, SlotPart, list[Slot], int]]:
        """Yield each op and part that learns, its tensors in SRAM, channels last, and how many move."""
        for op in self.ops:
            if self._channels(op):
                names = [name for name, _, _ in self.parameters.weight_tensors(op)]
                count = prod(self.parameters.selected_shape(op))
                yield op, SlotPart.WEIGHT, [*names, Slot(op.name, Kind.CHANNELS)], count
            if op.bias is not None and self.parameters.bias_learns(op):
                names = [name for name, _ in self.parameters.bias_tensors(op)]
                yield op, SlotPart.BIAS, names, self.model.tensors[op.bias].elements

    def _channels(self, op: Op) -> int:
        return self.parameters.scope.channels.get(op.name, 0)

    def _partly(self, op: Op, names: list[Slot]) -> dict[str, int]:
        """Return the bytes touched of tensors that hold more than the selected channels."""
        whole = self.model.tensors[op.inputs[1]].elements
        part = prod(self.parameters.selected_shape(op))
        drafts = self.builder.drafts
        held = (n for n in names if n in drafts and prod(drafts[n].shape) == whole)
        return {name: self.builder.bytes_of(name) * part // whole for name in held}
