"""A placed step as tables: ops, starts, what a checkpoint holds, what is drawn anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, Interval, Kind, Role, Slot, SlotPart
from mcusim.deployment.choosing import ChannelChoice, choice_of
from mcusim.deployment.context import StepContext, refusal
from mcusim.deployment.forward import forward
from mcusim.deployment.front_end import front_end
from mcusim.deployment.gradients import grad_input
from mcusim.deployment.learned import identity, learned_slots
from mcusim.deployment.losses import goals, loss
from mcusim.deployment.moving import crop_or_paste, keep, save
from mcusim.deployment.parameters import Observed, ParameterCalls
from mcusim.deployment.perturbing import perturbed, probe_ops, probed
from mcusim.deployment.pooled import pooled
from mcusim.deployment.records import NOTHING, Call, FlashConstants
from mcusim.deployment.replay import replay
from mcusim.deployment.resident import resident
from mcusim.deployment.text import NULL, CText, identifier
from mcusim.graph import Arithmetic
from mcusim.kernels.number_formats import ERRORS
from mcusim.kernels.overflow import overflows
from mcusim.lowering.action import Action
from mcusim.lowering.flash import LEARNED, checkpoint_bytes, in_columns
from mcusim.lowering.step import StepOp
from mcusim.mcu.flash.flash import sector_at
from mcusim.mcu.flash.ring import Ring
from mcusim.mcu.flash.store import header_bytes
from mcusim.planning.plan import Plan
from mcusim.update.policy import POLICIES
from mcusim.update.scheme import Scheme
from mcusim.update.schemes.dynamic import Dynamic
from mcusim.update.schemes.zeroth import Zeroth
from mcusim.update.selection import Selection

LARGEST_UNIT = 256
"""BLOCK of store.c."""


@dataclass(frozen=True, slots=True)
class FirmwareTables:
    """Everything that ``model/`` says of one network.

    Attributes:
        prefix: begins the names of its symbols.
        calls: (name of the step's op, call) in execution order; one more behind them where integer errors
            have scales.
        constants: arrays and records in flash.
        fields: the fields of its ``mcusim_network``.
        starts: what lies in the arena before the first step.
        learned: what a checkpoint holds, in order: (address, what it begins with); without an address what
            lives in flash.
        drawn: the layers whose channels are drawn anew.
        rates: learning rates of the groups at schedule factor 1, in double precision.
    """

    prefix: str
    calls: tuple[tuple[str, Call], ...]
    constants: FlashConstants
    fields: Mapping[str, Any]
    starts: tuple[Mapping[str, Any], ...]
    learned: tuple[tuple[CText, bytes], ...]
    drawn: tuple[Mapping[str, Any], ...]
    rates: tuple[float, ...]


def tables(plan: Plan, scheme: Scheme) -> FirmwareTables:
    """Return a plan's step as tables.

    Raises:
        BadModel: if something of it has no C kernel; names it.
        BadArgument: if the plan only infers.
        OutOfSram, OutOfFlash: if it does not fit.
    """
    plan.require()
    if not plan.step.scope.learns:
        raise BadArgument("update none", "learns nothing", "choose what learns, e.g. head, last-6 or dynamic")
    model = plan.step.model
    wide = {one.op for one in overflows(model)} if model.arithmetic is Arithmetic.FLOAT else ()
    own = identifier(model.name).lower()
    context = StepContext(plan.step, plan.solution.offsets, FlashConstants(own), frozenset(wide))
    return _Writer(plan, scheme, context).tables()


class _Writer:
    def __init__(self, plan: Plan, scheme: Scheme, context: StepContext) -> None:
        self._plan, self._scheme, self._context = plan, scheme, context
        self._step, self._model = plan.step, plan.step.model
        self._selection = scheme.select(self._model, 0, plan.settings.seed)
        self._choice: ChannelChoice | None = None
        self._draws = self._drawn()
        observed: Mapping[str, Observed] = {} if self._choice is None else self._choice.observed
        self._parameters = ParameterCalls(
            context, plan.settings.sgd, plan.settings.seed, observed, fisher="fisher" in scheme.needs
        )

    def tables(self) -> FirmwareTables:
        context, step = self._context, self._step
        calls = [(op.name, self._call(op)) for op in step.ops]
        if context.scaled():
            calls.append(("error scales", self._advance()))
        loss = next(i for i, op in enumerate(step.ops) if op.action is Action.LOSS)
        learned = self._learned()
        fields = {
            **self._outside(), **self._replayed(), "loss_op": loss, "identity": identity(step),
            **self._checkpoint(),
        }  # fmt: skip
        fields |= resident(context, fields["header_bytes"]) | probe_ops(context)
        return FirmwareTables(
            context.constants.prefix, tuple(calls), context.constants, fields, tuple(self._starts()), learned,
            tuple(self._draws), tuple(self._parameters.rates),
        )  # fmt: skip

    def _replayed(self) -> dict[str, Any]:
        """Return which op keeps examples, and what the application has to know of them."""
        step = self._step
        if step.replay is None:
            return {}
        ring = 0 if step.kept is None else Ring(self._plan.board, *step.kept).bytes
        op = next(i for i, op in enumerate(step.ops) if op.action is Action.REPLAY)
        return {"replay_op": op, "replays": step.replay.ratio, "replay_bytes": ring}

    def _call(self, op: StepOp) -> Call:
        match op.action:
            case Action.LOAD:
                # A step begins with the choice of a stage's channels, where one begins.
                return NOTHING if self._choice is None else self._chosen(self._choice, "mcusim_choose")
            case Action.FORWARD:
                return forward(self._context, op)
            case Action.POOLED:
                return pooled(self._context, op)
            case Action.POOL:  # done with the convolution before it
                return NOTHING
            case Action.CROP | Action.PASTE:
                return crop_or_paste(self._context, op, crop=op.action is Action.CROP)
            case Action.SAVE:
                return save(self._context, op)
            case Action.LOSS:
                return loss(self._context, op)
            case Action.GRAD_INPUT:
                return grad_input(self._context, op)
            case Action.GRAD_BIAS:
                return self._parameters.grad_bias(op)
            case Action.GRAD_WEIGHT:
                return self._parameters.grad_weight(op)
            case Action.UPDATE:
                return self._parameters.update(op)
            case Action.FRONT_END:
                return front_end(self._context, op)
            case Action.KEEP:
                return keep(self._context, op)
            case Action.REPLAY:
                return replay(self._context, op, self._plan.board, self._plan.settings.seed)
            case Action.PERTURB | Action.ESTIMATE:
                return perturbed(self._context, self._parameters, op)
            case Action.PROBE:
                return probed(self._context, op)
            case Action.OBSERVE:
                if self._choice is None:  # nothing is chosen by what it observes
                    return NOTHING
                return self._chosen(self._choice, "mcusim_observe")
        assert_never(op.action)

    def _chosen(self, choice: ChannelChoice, kernel: str) -> Call:
        return Call(kernel, "mcusim_choice", choice.record)

    def _advance(self) -> Call:
        context = self._context
        count, place = len(context.scaled()), context.offset("error_scales")
        base = f"{context.constants.prefix}_arena + {place}"
        return Call("mcusim_advance", "mcusim_scales", {
            "largest": CText(f"(uint64_t *)({base})"), "peaks": CText(f"(float *)({base} + {8 * count})"),
            "scales": CText(f"(float *)({base} + {12 * count})"), "count": count,
            "top": int(ERRORS[self._step.formats.error].limit or 0),
        })  # fmt: skip

    def _starts(self) -> list[dict[str, Any]]:
        """Return what each resident tensor begins with."""
        context, step = self._context, self._step
        found = []
        for name, tensor in step.tensors.items():
            if name not in step.resident or not tensor.bytes or tensor.role in (Role.RUNTIME, Role.STATE):
                continue
            start: dict[str, Any] = {"to": context.at(name), "bytes": tensor.bytes}
            if isinstance(name, Slot) and name.kind in LEARNED:
                continue
            if isinstance(name, Slot) and name.kind is Kind.CHANNELS:
                if self._draws or self._choice:
                    continue
                start["from"] = self._channels(name.of)
            elif isinstance(name, Slot) and name.kind is Kind.SELECTION and self._choice is None:
                continue
            found.append(start)
        found += self._states()
        if context.scaled():
            count, place = len(context.scaled()), context.offset("error_scales")
            to = CText(f"{context.constants.prefix}_arena + {place + 12 * count}")
            ones = context.constants.array("ones", np.ones(count, np.float32), Role.QUANT)
            found.append({"to": to, "from": ones, "bytes": 4 * count})
        return found

    def _first(self, slot: Slot) -> NDArray[Any]:
        """Return what a learned tensor begins with."""
        op = self._model.op(slot.of)
        assert slot.part is not None
        name = op.weight if slot.part is SlotPart.WEIGHT else op.bias
        assert name is not None
        data = self._model.tensors[name].data
        assert data is not None
        if slot.kind is Kind.VALUE:
            return data
        if slot.kind not in LEARNED:
            return np.zeros(data.shape, self._step.tensors[slot].dtype)
        extra = self._step.formats.parameter(slot.part, data.dtype.name).extra
        assert extra is not None
        return extra.start(data)

    def _channels(self, op: str) -> CText:
        chosen = self._selection.channels[op].astype(np.int16)
        return self._context.constants.array(f"channels_{op}", chosen, Role.OPTIMIZER)

    def _drawn(self) -> list[dict[str, Any]]:
        """Return the layers whose channels are drawn on the device; none where they never change.

        Raises:
            BadModel: if they change in a way that has no C kernel.
        """
        scheme, step = self._scheme, self._step
        if not step.scope.channels or scheme.stage is None:
            return []
        if not _changes(scheme, self._selection, self._plan):
            return []
        if isinstance(scheme, Zeroth):
            scheme = scheme.drawn
        if not isinstance(scheme, Dynamic) or POLICIES[scheme.policy] is not POLICIES["uniform"]:
            self._choice = choice_of(self._context, scheme, self._stage_steps(), self._plan.settings.seed)
            return []
        found = []
        for position, (name, count) in enumerate(step.scope.channels.items()):
            of = self._model.tensors[self._model.op(name).inputs[0]].shape[-1]
            found.append({
                "channels": self._context.at(Slot(name, Kind.CHANNELS)), "count": count, "of": of,
                "position": position,
            })  # fmt: skip
        return found

    def _outside(self) -> dict[str, Any]:
        """Return what the API knows of inputs, outputs and stages."""
        context, step, model = self._context, self._step, self._model
        outputs, constants = goals(context), context.constants
        first = outputs[0]
        fields: dict[str, Any] = {
            "input": context.at(step.arrives[0]), "input_bytes": step.tensors[step.arrives[0]].bytes,
            "logits": first["logits"], "logits_count": first["count"], "logits_type": first["type"],
            "logits_scale": first["scale"], "logits_zero": first["zero"],
            "stage_steps": self._stage_steps() if self._draws else 0,
            "selection_steps": self._stage_steps() if self._draws or self._choice else 0,
            "error_scales": len(context.scaled()), "seed": self._plan.settings.seed,
        }  # fmt: skip
        if step.target is not None:
            fields |= {"target": context.at(step.target.name), "target_bytes": step.target.bytes}
        parts: dict[str, tuple[str, list[dict[str, Any]]]] = {}
        if len(model.inputs) > 1:
            rows = [{"data": context.at(n), "bytes": model.tensors[n].bytes} for n in model.inputs]
            parts["inputs"] = ("mcusim_part", rows)
        if len(outputs) > 1:
            parts["goals"] = ("mcusim_goal", outputs)
        if model.states:
            parts["states"] = ("mcusim_start", self._states())
        for name, (struct, rows) in parts.items():
            fields |= {name: constants.records(name, struct, rows), f"{name}_count": len(rows)}
        return fields

    def _states(self) -> list[dict[str, Any]]:
        """Return what each state begins a sequence with."""
        return [
            {"to": self._context.at(s.name), "from": self._context.operand(s.initial),
             "bytes": self._step.tensors[s.name].bytes}
            for s in self._model.states
        ]  # fmt: skip

    def _stage_steps(self) -> int:
        """Return the steps of a stage, which ends after an update only."""
        accumulate = self._plan.settings.sgd.accumulate
        return -(-(self._scheme.stage or 0) // accumulate) * accumulate

    def _learned(self) -> tuple[tuple[CText, bytes], ...]:
        """Return the tensors of a checkpoint, op by op: where each lies and what it begins with."""
        step, slots = self._step, learned_slots(self._step)
        places = (NULL if in_columns(step, slot) else self._context.at(slot) for slot in slots)
        data = (np.ascontiguousarray(self._first(slot)).tobytes() for slot in slots)
        return tuple(zip(places, data, strict=True))

    def _checkpoint(self) -> dict[str, int]:
        flash = self._plan.board.flash
        if flash.program_bytes > LARGEST_UNIT:
            reason = (
                f"is programmed in units of {flash.program_bytes} bytes, and C kernels gather {LARGEST_UNIT}"
            )
            raise refusal(f"flash of {self._plan.board.name}", reason)
        copies = self._plan.flash.copies
        assert all(checkpoint_bytes(self._step) <= len(copy) for copy in copies)
        first, second = copies or (Interval(0, 0), Interval(0, 0))
        assert first.end == second.start
        return {
            "copy_bytes": len(first), "area_bytes": second.end - first.start,
            "erase_bytes": sector_at(flash, first.start).bytes,
            "second_erase_bytes": sector_at(flash, second.start).bytes,
            "program_bytes": flash.program_bytes, "header_bytes": header_bytes(self._plan.board),
        }  # fmt: skip


def _changes(scheme: Scheme, first: Selection, plan: Plan) -> bool:
    """True if another stage selects something else; asked of two stages, since a scheme may say so."""
    if scheme.needs:
        return True
    model, seed = plan.step.model, plan.settings.seed
    return not all(first.same_as(scheme.select(model, stage, seed)) for stage in (1, 2))
