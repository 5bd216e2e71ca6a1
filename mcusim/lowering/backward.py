"""Emits the loss, the backward pass and the updates of a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Literal

from mcusim.core import Kind, Phase, Role, Slot, SlotPart
from mcusim.graph import QUANTISED, Model, Op
from mcusim.kernels.columns import groups
from mcusim.kernels.reach import gradient_order
from mcusim.kernels.scratch import scratch_bytes
from mcusim.lowering.action import Action
from mcusim.lowering.builder import Builder
from mcusim.lowering.forward import backward_activations, mask_name, saved_name
from mcusim.lowering.gradients import Flow, activations
from mcusim.lowering.parameters import Parameters
from mcusim.lowering.work import backward_work, errors_met
from mcusim.tasks.goals import Goals
from mcusim.update.channels import layer

STATE_OPS = {Kind.MOMENTUM: 2, Kind.SQUARE: 7}
"""Operations on a number for what an optimiser keeps of it. velocity = momentum * velocity + gradient: two; a
square, the mean of it and the ones before (three), the root, 1e-8 more, a division: seven."""


def gradient_name(tensor: str) -> Slot:
    """Return the name of the gradient with respect to a tensor."""
    return Slot(tensor, Kind.ERROR)


def emit_losses(builder: Builder, model: Model, flow: Flow, goals: Goals) -> None:
    """Emit each loss: reads the logits and the target, writes the gradient of the logits (float32)."""
    for goal, name in zip(goals.items, flow.logits, strict=True):
        logits, target, task = model.tensors[name], goal.target(model), goal.task
        gradient = builder.tensor(gradient_name(name), logits.shape, "float32", Role.ERROR)
        work = task.work(logits, target)
        if goal.weight != 1:  # the gradient, times the weight
            work = replace(work, float_ops=work.float_ops + logits.elements)
        builder.op(
            "loss" if goals.single is not None else f"loss:{goal.output}", Action.LOSS, Phase.LOSS,
            writes=(gradient,), reads=(name,) if target is None else (name, target.name), work=work,
        )  # fmt: skip


class Backward:
    """Walks the ops backwards; every gradient is used up as soon as it is there."""

    def __init__(
        self,
        builder: Builder,
        model: Model,
        flow: Flow,
        parameters: Parameters,
        saved_pixels: Mapping[str, int],
    ) -> None:
        self.builder, self.model, self.flow, self.parameters = builder, model, flow, parameters
        self.saved_pixels = saved_pixels
        self.error = parameters.formats.errors
        self.written: set[str] = {gradient_name(name) for name in flow.logits}

    def emit(self) -> None:
        """Emit the whole backward pass."""
        for op in reversed(self.flow.ops):
            if gradient_name(op.output) not in self.written:
                continue
            if self.parameters.scope.perturbation and not self.parameters.is_head(op):
                continue  # it has moved to learn, also where it gives the logits
            # The gradient with respect to the input comes before that of the weights: it must see those with
            # which the forward pass was computed. No bias has a part in it, and where nothing but the bias
            # learns, the output's gradient dies with it.
            if self.parameters.bias_learns(op):
                self._emit_bias(op)
            self._emit_inputs(op)
            if op.name in self.parameters.scope.channels or self.parameters.is_head(op):
                self._emit_weight(op)

    def _dtype(self, tensor: str) -> str:
        integer = self.model.tensors[tensor].dtype in QUANTISED
        return self.error.dtype if integer else "float32"

    def _mask(self, op: Op) -> Slot | None:
        name = mask_name(op)
        return name if name in self.builder.drafts else None

    def _emit_inputs(self, op: Op) -> None:
        model, builder = self.model, self.builder
        wanted = [(i, n) for i, n in activations(model, op) if n in self.flow.needs]
        # Contributions to a gradient that exists come first, the one that can overwrite the
        # output's gradient comes last.
        wanted.sort(key=lambda w: (gradient_name(w[1]) not in self.written, -w[0]))
        for index, name in wanted:
            tensor = model.tensors[name]
            dtype = self._dtype(name)
            gradient = builder.tensor(gradient_name(name), tensor.shape, dtype, Role.ERROR)
            accumulate = gradient in self.written
            reads: list[str] = [gradient_name(op.output)]
            reads += self.parameters.read_by(op)[:1] if op.name in self.parameters.scope.eligible else ()
            reads += self.parameters.read_by(op)[:1] if self.parameters.is_head(op) else ()
            for needed in backward_activations(op):
                if not model.tensors[needed].constant:
                    builder.promote(needed, Role.FEATURE)
                    reads.append(needed)
            same = dtype == self._dtype(op.output) and op.traits.in_place == "always" and not accumulate
            last = (index, name) == wanted[-1]
            # Only convolutions, whose input and output are errors of one format.
            reach = None if accumulate else gradient_order(op, model.tensors, self.error.bytes)
            builder.op(
                f"{op.name}:grad_input" + (f"[{index}]" if len(wanted) > 1 else ""),
                Action.GRAD_INPUT, Phase.BACKWARD, source=op,
                reads=(*reads, *((gradient,) if accumulate else ())), writes=(gradient,),
                work=backward_work(op, model.tensors, "grad_input", error_bytes=self.error.bytes),
                scratch_bytes=scratch_bytes(op, model.tensors, "grad_input"), mask=self._mask(op),
                index=index, accumulate=accumulate,
                overwrites=(gradient_name(op.output),) if same and last else (),
                overlaps={} if reach is None or not last else {gradient_name(op.output): reach},
            )  # fmt: skip
            self.written.add(gradient)

    def _emit_bias(self, op: Op) -> None:
        names = [name for name, _ in self.parameters.bias_tensors(op)]
        self._emit_parameter(op, SlotPart.BIAS, names)

    def _emit_weight(self, op: Op) -> None:
        parameters, builder = self.parameters, self.builder
        count = parameters.selected_shape(op)[0]
        if not count:
            return
        features: str = saved_name(op)
        if features not in builder.drafts:
            features = op.inputs[0]
            builder.promote(features, Role.FEATURE)
        names = [n for n, _, _ in parameters.weight_tensors(op)]
        if not parameters.is_head(op):
            names.append(Slot(op.name, Kind.CHANNELS))
        self._emit_parameter(op, SlotPart.WEIGHT, names, count, (features,))

    def _emit_parameter(
        self,
        op: Op,
        part: SlotPart,
        names: list[Slot],
        count: int = 0,
        features: tuple[str, ...] = (),
    ) -> None:
        """Emit a parameter's gradient, and its update: at once, or when enough were accumulated."""
        builder, tensors = self.builder, self.model.tensors
        what: Literal["grad_bias", "grad_weight"] = "grad_bias" if part is SlotPart.BIAS else "grad_weight"
        action = Action.GRAD_BIAS if part is SlotPart.BIAS else Action.GRAD_WEIGHT
        work = backward_work(
            op, tensors, what, channels=count, error_bytes=self.error.bytes,
            kept=self.saved_pixels.get(op.name),
        )  # fmt: skip
        update = backward_work(
            op, tensors, "update_bias" if part is SlotPart.BIAS else "update", channels=count,
            error_bytes=self.error.bytes,
        )  # fmt: skip
        state = tuple(
            s for s in (Slot(op.name, k, part) for k in (Kind.MOMENTUM, Kind.SQUARE)) if s in builder.drafts
        )
        gradient = tuple(s for s in (Slot(op.name, Kind.GRADIENT, part),) if s in builder.drafts)
        for slot in state:
            update = replace(update, float_ops=update.float_ops + STATE_OPS[slot.kind] * update.outputs)
        if gradient:  # added to the sum
            work = replace(work, float_ops=work.float_ops + update.outputs)
        reads = (gradient_name(op.output), *features)
        partly = self._partly(op, count, (*names, *state)) if part is SlotPart.WEIGHT else {}
        if gradient:
            builder.op(
                f"{op.name}:{what}", action, Phase.BACKWARD, source=op, reads=(*reads, *gradient),
                writes=gradient, work=work, mask=self._mask(op), partly=partly,
            )  # fmt: skip
            builder.op(
                f"{op.name}:{what}:update", Action.UPDATE, Phase.UPDATE, source=op,
                reads=(*gradient, *names, *state), writes=(*names, *state, *gradient), work=update,
                partly=partly, part=part,
            )  # fmt: skip
        else:
            builder.op(
                f"{op.name}:{what}", action, Phase.BACKWARD, source=op,
                reads=(*reads, *names, *state), writes=(*names, *state),
                work=work + update, mask=self._mask(op), partly=partly,
            )  # fmt: skip

    def _partly(self, op: Op, count: int, names: tuple[Slot, ...]) -> dict[str, int]:
        """Return the bytes that ``count`` selected input channels touch of tensors that hold all of them.

        Weights, and what is kept beside each, may be in SRAM as a whole. A channel sees only the errors of
        its group, and a pointwise op only those of the pixels that were saved.
        """
        weight, channels = self.model.tensors[op.inputs[1]], layer(self.model, op).channels
        drafts, error = self.builder.drafts, gradient_name(op.output)
        found: dict[str, int] = {}
        if count != channels:
            held: list[str] = [n for n in names if n in drafts and prod(drafts[n].shape) == weight.elements]
            found = {name: self.builder.bytes_of(name) * count // channels for name in held}
            several = groups(op, self.model.tensors)
            if count < several:
                found[error] = self.builder.bytes_of(error) * count // several
        if op.name in self.saved_pixels:
            met, outputs = errors_met(op, self.model.tensors, self.saved_pixels[op.name])
            found[error] = found.get(error, self.builder.bytes_of(error)) * met // outputs
            mask = self._mask(op)
            found |= {} if mask is None else {mask: -(-self.builder.bytes_of(mask) * met // outputs)}
        return found
