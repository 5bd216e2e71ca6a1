"""Emits the forward pass on whole images, saving what the backward pass will read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from mcusim.graph import Model, Op
from mcusim.graph.states import turns
from mcusim.lowering.builder import Builder
from mcusim.lowering.forward import emit_keep, emit_op
from mcusim.lowering.gradients import Flow, activations
from mcusim.lowering.parameters import Parameters
from mcusim.lowering.pooled import emit_pooled, saves_room
from mcusim.lowering.saving import Saving
from mcusim.lowering.work import mask_bytes


class Tail:
    """Emits the ops that do not run in patches."""

    def __init__(
        self, builder: Builder, model: Model, flow: Flow, parameters: Parameters, *, in_place: bool
    ) -> None:
        self.builder, self.model, self.flow, self.parameters = builder, model, flow, parameters
        self.in_place = in_place
        self.saving = Saving(model, flow, parameters, in_place=in_place)
        self._turns = turns(model.states, flow.ops)

    def emit_front(self, ops: Sequence[Op], *, fuse: bool) -> None:
        """Emit ops that learn nothing; with ``fuse`` pools are computed with the convolutions before them."""
        pairs = ((op, pool) for op, pool in pairwise(ops) if fuse and saves_room(self.model, op, pool))
        pooled = {op.name: pool for op, pool in pairs}
        done = {pool.name for pool in pooled.values()}
        for op in ops:
            if op.name in pooled:
                self.saving.emit_before(self.builder, op)
                emit_pooled(self.builder, self.model, op, pooled[op.name])
                self._follow(pooled[op.name])
            elif op.name not in done:
                self.emit((op,))

    def emit(self, ops: Iterable[Op]) -> None:
        """Emit some ops in order."""
        for op in ops:
            self.saving.emit_before(self.builder, op)
            emit_op(
                self.builder, op, self.model.tensors, parameters=self.parameters.read_by(op),
                mask=self._mask_needed(op), in_place=self.in_place,
            )  # fmt: skip
            self._follow(op)

    def _follow(self, op: Op) -> None:
        """Emit what is done once an op has run."""
        self.saving.emit_after(self.builder, op)
        for state in self._turns.get(op.name, ()):
            emit_keep(self.builder, self.model, state)

    def _mask_needed(self, op: Op) -> bool:
        output = self.model.tensors[op.output]
        if not mask_bytes(op, output) or op.output not in self.flow.needs:
            return False
        passes = any(name in self.flow.needs for _, name in activations(self.model, op))
        return passes or self.parameters.learns(op)
