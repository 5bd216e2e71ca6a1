"""Gradients of weights and biases, and how each parameter moves: their C kernels and records."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from mcusim.core import Kind, Slot, SlotPart
from mcusim.deployment.context import StepContext, dense_rows, refusal, source_of, window
from mcusim.deployment.gradients import SHORT
from mcusim.deployment.records import TYPES, Call
from mcusim.deployment.text import NULL, CText
from mcusim.graph import Op, OpKind
from mcusim.graph.outputs import heads
from mcusim.kernels.columns import groups
from mcusim.kernels.qas import qas_bias, qas_weight
from mcusim.kernels.update import decays, draw_seed
from mcusim.lowering.backward import gradient_name
from mcusim.lowering.forward import saved_name
from mcusim.lowering.step import StepOp
from mcusim.update.optimizer import Sgd

LAYOUTS = {
    OpKind.DEPTHWISE_CONV_2D: "MCUSIM_DEPTHWISE", OpKind.TRANSPOSE_CONV: "MCUSIM_TRANSPOSED",
}  # fmt: skip
MOST_GROUPS = 255
Observed = Mapping[str, CText]
"""Where what is observed of a layer is summed: fields of ``mcusim_adapted_weight``."""


class ParameterCalls:
    """Makes the records of parameters, and groups them by learning rate.

    Attributes:
        rates: the learning rate of each group at schedule factor 1, in double precision.
    """

    def __init__(
        self,
        context: StepContext,
        sgd: Sgd,
        seed: int,
        observed: Mapping[str, Observed],
        *,
        fisher: bool,
    ) -> None:
        self._context, self._sgd, self._seed, self._observed = context, sgd, seed, observed
        self._fisher = fisher
        self.rates: list[float] = []

    def grad_bias(self, op: StepOp) -> Call:
        """Return the call of a bias's gradient, with its update unless gradients are summed."""
        context, source = self._context, source_of(op)
        g = gradient_name(source.output)
        outputs = context.tensors[source.inputs[1]].shape[source.traits.channel_axis]
        fields = {
            "g": context.at(g), "mask": context.at(op.mask), "factor": context.factors(source),
            "pixels": prod(context.shape(g)) // outputs, "outputs": outputs, "from": context.error(g),
            "learner": self._learner(source, SlotPart.BIAS),
        }  # fmt: skip
        short, moment = SHORT[context.held(g).dtype], self.moment(source, SlotPart.BIAS)
        if not moment:
            return Call(f"mcusim_grad_bias_{short}", "mcusim_grad_bias", fields)
        return Call(f"mcusim_adapted_bias_{short}", "mcusim_adapted_bias", {"bias": fields, "moment": moment})

    def grad_weight(self, op: StepOp) -> Call:
        """Return the call of a weight's gradient, with its update unless gradients are summed."""
        context, source = self._context, source_of(op)
        g, channels = gradient_name(source.output), Slot(source.name, Kind.CHANNELS)
        saved = saved_name(source)
        x = saved if saved in context.step.tensors else source.inputs[0]
        shape, inputs = context.shape(x), context.tensors[source.inputs[0]]
        dense = source.kind is OpKind.FULLY_CONNECTED
        chosen = channels in context.step.tensors
        channel_count = context.tensors[source.inputs[1]].shape[1] if dense else inputs.shape[-1]
        fields = {
            "g": context.at(g), "mask": context.at(op.mask), "factor": context.factors(source),
            "x": context.at(x), "channels": context.at(channels) if chosen else NULL,
            "window": self._window(source),
            "count": prod(context.shape(channels)) if chosen else channel_count,
            "saved": channel_count if dense and x != saved else shape[-1],
            "x_zero": 0 if inputs.dtype == "float32" else context.zero_of(source.inputs[0]),
            "x_type": TYPES[inputs.dtype], **self._layout(source),
            "compact": context.compact(source), "whole": x != saved, "fisher": self._fisher,
            "from": context.error(g), "learner": self._learner(source, SlotPart.WEIGHT),
            **self._pixels(source),
        }  # fmt: skip
        short, moment = SHORT[context.held(g).dtype], self.moment(source, SlotPart.WEIGHT)
        if not moment and source.name not in self._observed:
            return Call(f"mcusim_grad_weight_{short}", "mcusim_grad_weight", fields)
        return Call(f"mcusim_adapted_weight_{short}", "mcusim_adapted_weight", {
            "weight": fields, "moment": moment, **self._observed.get(source.name, {}),
        })  # fmt: skip

    def _pixels(self, source: Op) -> dict[str, Any]:
        """Return which pixels of the input are saved, and by what the sum over them is multiplied."""
        kept = self._context.step.saved_pixels.get(source.name)
        if kept is None:
            return {}
        _, height, width, _ = self._context.tensors[source.inputs[0]].shape
        share = np.float32(height * width / kept)
        return {"pattern": self._context.pattern(source), "kept": kept, "share": share}

    def update(self, op: StepOp) -> Call:
        """Return the call that applies the summed gradients of a parameter."""
        source = source_of(op)
        assert op.part is not None
        total = self._context.shape(Slot(source.name, Kind.GRADIENT, op.part))
        fields = self.update_fields(source, op.part) | {"count": 1 if op.part is SlotPart.BIAS else total[0]}
        moment = self.moment(source, op.part)
        if not moment:
            return Call("mcusim_apply", "mcusim_update", fields)
        return Call("mcusim_adapted_apply", "mcusim_adapted_update", {"update": fields, "moment": moment})

    def update_fields(self, source: Op, part: SlotPart) -> dict[str, Any]:
        """Return which numbers of a parameter learn, and how, of selected channels or of a bias."""
        context, bias = self._context, part is SlotPart.BIAS
        channels = Slot(source.name, Kind.CHANNELS)
        chosen = not bias and channels in context.step.tensors
        return {
            "learner": self._learner(source, part), "channels": context.at(channels) if chosen else NULL,
            "window": self._window(source), "count": prod(context.shape(channels)) if chosen else 1,
            "bias": bias, "compact": not bias and context.compact(source),
            **({"groups": 1} if bias else self._layout(source)),
        }  # fmt: skip

    def _layout(self, source: Op) -> dict[str, Any]:
        """Return how a weight lies, and in how many groups the channels that do not meet are."""
        count = groups(source, self._context.tensors)
        if count > MOST_GROUPS and source.kind is OpKind.GROUPED_CONV_2D:
            reason = f"has {count} groups of channels, and C kernels that learn take {MOST_GROUPS}"
            raise refusal(f"op {source.name!r} ({source.kind})", reason)
        layout = LAYOUTS.get(source.kind, "MCUSIM_PLAIN")
        return {"layout": CText(layout), "groups": count if source.kind is OpKind.GROUPED_CONV_2D else 1}

    def moment(self, source: Op, part: SlotPart) -> dict[str, Any]:
        """Return where a parameter's mean squares lie, and how they move; nothing without a second moment."""
        square = Slot(source.name, Kind.SQUARE, part)
        if square not in self._context.step.tensors:
            return {}
        kept, added = decays(self._sgd.second_moment)
        return {"square": self._context.at(square), "decay": kept, "rest": added}

    def _window(self, source: Op) -> dict[str, int]:
        tensors = self._context.tensors
        weight, x, y = tensors[source.inputs[1]], tensors[source.inputs[0]], tensors[source.output]
        if source.kind is OpKind.FULLY_CONNECTED:
            one = dict.fromkeys(("h", "oh", "kh", "kw", "sh", "sw", "dh", "dw"), 1)
            rows = dense_rows(source, x.elements, weight.shape[1])
            return one | {"w": rows, "ow": rows, "ci": weight.shape[1], "co": weight.shape[0]}
        return window(source, x.shape, y.shape, weight.shape[1:3], (x.shape[3], y.shape[3]))

    def _learner(self, op: Op, part: SlotPart) -> CText:
        """Return the record of how a parameter moves."""
        context, model = self._context, self._context.model
        weight = part is SlotPart.WEIGHT
        name = op.weight if weight else op.bias
        assert name is not None
        own = context.step.formats.parameter(part, model.tensors[name].dtype)
        if own.c_rule is None:
            raise refusal(f"{part} format {own.name}", "has no C kernel")
        head = context.step.scope.head and op.name in heads(model)
        scaling = qas_weight(op, context.tensors) if weight else qas_bias(op, context.tensors)
        momentum = Slot(op.name, Kind.MOMENTUM, part)
        total = Slot(op.name, Kind.GRADIENT, part)
        extra = None if own.extra is None else Slot(op.name, own.extra.kind, part)
        every = self._sgd.accumulate if total in context.step.tensors else 0
        fields: dict[str, Any] = {
            "rule": context.constants.rule(own.c_rule), "value": context.at(Slot(op.name, Kind.VALUE, part)),
            "extra": context.at(extra), "factor": context.scaling(op, part, scaling.astype(np.float32)),
            "velocity": context.at(momentum if momentum in context.step.tensors else None),
            "total": context.at(total if every else None), "momentum": float(self._sgd.momentum),
            "seed": draw_seed(self._seed, model.place(op.name), part) % 2**64,
            "group": self._group(self._sgd.rate(op.name, part, head=head)), "every": every,
        }  # fmt: skip
        return context.constants.record(f"learner_{part}_{op.name}", "mcusim_learner", fields)

    def _group(self, rate: float) -> int:
        if rate not in self.rates:
            self.rates.append(rate)
        return self.rates.index(rate)
