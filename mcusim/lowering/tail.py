"""Emits the forward pass on whole images, saving what the backward pass will read."""

from __future__ import annotations

from collections.abc import Iterable

from mcusim.graph import Model, Op
from mcusim.graph.states import turns
from mcusim.lowering.builder import Builder
from mcusim.lowering.forward import emit_keep, emit_op
from mcusim.lowering.gradients import Flow, activations
from mcusim.lowering.parameters import Parameters
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

    def emit(self, ops: Iterable[Op]) -> None:
        """Emit some ops in order."""
        for op in ops:
            self.saving.emit_before(self.builder, op)
            emit_op(
                self.builder, op, self.model.tensors, parameters=self.parameters.read_by(op),
                mask=self._mask_needed(op), in_place=self.in_place,
            )  # fmt: skip
            self.saving.emit_after(self.builder, op)
            for state in self._turns.get(op.name, ()):
                emit_keep(self.builder, self.model, state)

    def _mask_needed(self, op: Op) -> bool:
        output = self.model.tensors[op.output]
        if not mask_bytes(op, output) or op.output not in self.flow.needs:
            return False
        passes = any(name in self.flow.needs for _, name in activations(self.model, op))
        return passes or self.parameters.learns(op)
