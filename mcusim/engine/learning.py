"""The learned parameters of one op: where they lie, and how a gradient changes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import Kind, Slot, SlotPart
from mcusim.engine.buffers import Buffers
from mcusim.engine.state import State, constant, parameter_slots
from mcusim.graph import Op
from mcusim.graph.outputs import heads
from mcusim.kernels import update as kernels
from mcusim.kernels.columns import gather, scatter
from mcusim.kernels.compiled.overlay import Overlay
from mcusim.kernels.compiled.prepared import address_of
from mcusim.kernels.compiled.rows import RULE, Row, Rows, row, rule_row
from mcusim.lowering.step import Step
from mcusim.update.optimizer import Sgd
from mcusim.update.selection import Selection

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Clock:
    """What changes from step to step, where compiled kernels read it: arrays of one element."""

    rate: NDArray[np.float64] = field(default_factory=lambda: np.ones(1))
    """Factor on all learning rates."""
    iteration: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    learns: NDArray[np.int64] = field(default_factory=lambda: np.ones(1, np.int64))
    """0 while scales are being found."""


class Learner:
    """Binds the parameters of one learning op to the buffers of a step.

    ``weight`` and ``bias`` are the arrays the kernels read; with ``fixed_weight`` the weight is the model's
    and only the bias learns. With the selected channels alone in SRAM
    (``compact``), ``weight`` is what the forward kernel sees: the weights in flash, overlaid with the
    columns in SRAM by ``merge``, a row of the step's table, before every use, as a device kernel does it
    channel by channel.
    """

    def __init__(self, op: Op, step: Step, buffers: Buffers, state: State, sgd: Sgd, seed: int) -> None:
        self.op, self.state, self.sgd = op, state, sgd
        self.head = step.scope.head and op.name in heads(step.model)
        self.inputs = step.model.tensors[op.inputs[0]].shape[-1]
        self._own = {(s.kind, s.part): s for s in (*parameter_slots(op.name), Slot(op.name, Kind.CHANNELS))}
        self._views = {s: buffers.view(s) for s in self._own.values() if s in step.tensors}
        self.compact = step.in_flash(op)
        learns = self.compact or self._view(Kind.VALUE, SlotPart.WEIGHT) is not None
        self.fixed_weight = not learns
        own = self._view(Kind.VALUE, SlotPart.WEIGHT)
        self.weight: Array = constant(step.model, op.inputs[1]) if own is None else own
        if self.compact:
            whole = step.model.tensors[op.inputs[1]]
            self.weight = np.empty(whole.shape, whole.dtype)
        self.bias: Array | None = None
        if op.bias is not None:
            own = self._view(Kind.VALUE, SlotPart.BIAS)
            self.bias = constant(step.model, op.bias) if own is None else own
        count = self.inputs if self.head else step.scope.channels.get(op.name, 0)
        parameters = [(s, v) for s, v in self._views.items() if s.kind is not Kind.CHANNELS]
        self._columns = [(s, v) for s, v in parameters if self._columns_only(s)]
        self._whole = [(s, v) for s, v in parameters if not self._columns_only(s)]
        self._count = count if learns else 0
        # Kernels remember the arrays they have met, so the channels change in place.
        self.channels = np.arange(self._count, dtype=np.int32)
        self._numbers = self._views.get(self._own[Kind.CHANNELS, None], self.channels)
        own = self._view(Kind.VALUE, SlotPart.WEIGHT)
        self.merge: Callable[[], None] = Rows()  # no channel may be selected in this stage
        if self.compact and own is not None:
            self.merge = Overlay(op, step.model.tensors).bind(self.weight, self.channels, own)
        block = gather(op, self._whole_shape(step), np.arange(self._count, dtype=np.int32), self.inputs)
        self.weight_gradient = np.zeros(block.shape, np.float32)
        self.bias_gradient = np.zeros(0 if self.bias is None else self.bias.shape, np.float32)
        self._weight_rate, self._bias_rate = (sgd.rate(op.name, p, head=self.head) for p in SlotPart)
        self._weight_total = self._view(Kind.GRADIENT, SlotPart.WEIGHT)
        self._bias_total = self._view(Kind.GRADIENT, SlotPart.BIAS)
        self._weight_buffers = (
            self._view(Kind.VALUE, SlotPart.WEIGHT), self._extra(SlotPart.WEIGHT),
            self.weight_gradient if self._weight_total is None else self._weight_total,
            self._view(Kind.MOMENTUM, SlotPart.WEIGHT), self._view(Kind.SQUARE, SlotPart.WEIGHT),
        )  # fmt: skip
        index = step.model.place(op.name)
        self._weight_rule = kernels.weight_rule(
            op, step.model.tensors, step.formats.weight, compact=self.compact,
            seed=kernels.draw_seed(seed, index, SlotPart.WEIGHT), second_moment=sgd.second_moment,
        )  # fmt: skip
        bias = self._view(Kind.VALUE, SlotPart.BIAS)
        if bias is not None:
            rule = self._bias_rule = kernels.bias_rule(
                op, step.model.tensors, step.formats.bias,
                seed=kernels.draw_seed(seed, index, SlotPart.BIAS), second_moment=sgd.second_moment,
            )  # fmt: skip
            self._step_bias = rule.call(
                bias,
                self._extra(SlotPart.BIAS),
                self.bias_gradient if self._bias_total is None else self._bias_total,
                self._view(Kind.MOMENTUM, SlotPart.BIAS),
                self._view(Kind.SQUARE, SlotPart.BIAS),
            )

    def value(self, part: SlotPart) -> Array:
        """Return the buffer of a parameter that learns: of the weight its selected channels or all of it."""
        found = self._view(Kind.VALUE, part)
        assert found is not None
        return found

    def _view(self, kind: Kind, part: SlotPart | None = None) -> Array | None:
        """Return the buffer of one of the op's slots, if the step has it."""
        return self._views.get(self._own[kind, part])

    def _extra(self, part: SlotPart) -> Array | None:
        """Return the buffer of what the part's format keeps beside its values, if it keeps anything."""
        found = (self._view(kind, part) for kind in (Kind.RESIDUAL, Kind.MASTER))
        return next((view for view in found if view is not None), None)

    @property
    def chooses(self) -> bool:
        """True if which channels learn changes with the stage."""
        return self._count > 0 and not self.head

    def _whole_shape(self, step: Step) -> Array:
        """Return an array of the weight's shape that takes no memory."""
        return np.broadcast_to(np.int8(0), step.model.tensors[self.op.inputs[1]].shape)

    def load(self, selection: Selection) -> None:
        """Copy the parameters from the state into the buffers; set the channels that learn."""
        for slot, view in self._whole:
            view[...] = self._stored(slot, view)
        if self.compact:
            self.weight[...] = self.state.arrays[self._own[Kind.VALUE, SlotPart.WEIGHT]]
        self._load_columns(selection)

    def select(self, selection: Selection) -> None:
        """Change the channels that learn; what lies whole in the buffers stays there."""
        self._store_columns()
        if self.compact:
            self.merge()
        self._load_columns(selection)

    def store(self) -> None:
        """Copy the parameters from the buffers back into the state."""
        self._store_columns()
        for slot, view in self._whole:
            self._stored(slot, view)[...] = view

    def numbers(self) -> Iterator[tuple[str, Array]]:
        """Yield the float arrays of the op by name: gradients of the last step, then what they changed."""
        yield f"a gradient of the weights of {self.op.name}", self.weight_gradient
        yield f"a gradient of the bias of {self.op.name}", self.bias_gradient
        for slot, view in self._views.items():
            if view.dtype.kind == "f":
                yield f"{slot}", view

    def _store_columns(self) -> None:
        for slot, view in self._columns:
            scatter(self.op, self._stored(slot), self.channels, self.inputs, view)

    def _load_columns(self, selection: Selection) -> None:
        if not self.head and self._count:
            chosen = selection.channels[self.op.name]
            self.channels[...] = chosen
            self._numbers[...] = chosen
        for slot, view in self._columns:
            view[...] = gather(self.op, self._stored(slot), self.channels, self.inputs)

    def learn_weight(self, rate: float) -> None:
        """Apply, or accumulate, the gradient in ``weight_gradient``."""
        if self._weight_total is None:
            self._update_weight(rate)
        else:
            self._weight_total += self.weight_gradient

    def learn_bias(self, rate: float) -> None:
        """Apply, or accumulate, the gradient in ``bias_gradient``."""
        if self._bias_total is None:
            self._update_bias(rate)
        else:
            self._bias_total += self.bias_gradient

    def weight_row(self, clock: Clock) -> Row | None:
        """Return ``learn_weight`` as a row of a table, or ``None`` where gradients are accumulated."""
        if self._weight_total is not None:
            return None
        weight, extra, *others = self._weight_buffers
        run = self._weight_rule.bind(weight, extra, self.channels, *others)
        return self._rule_row(run, self._weight_rule.seed, self._weight_rate, clock, self.learn_weight)

    def bias_row(self, clock: Clock) -> Row | None:
        """Return ``learn_bias`` as a row of a table, or ``None`` where gradients are accumulated."""
        value = self._view(Kind.VALUE, SlotPart.BIAS)
        if self._bias_total is not None or value is None:
            return None
        buffers = (value, self._extra(SlotPart.BIAS), self.bias_gradient)
        state = (self._view(kind, SlotPart.BIAS) for kind in (Kind.MOMENTUM, Kind.SQUARE))
        run = self._bias_rule.bind(*buffers, *state)
        return self._rule_row(run, self._bias_rule.seed, self._bias_rate, clock, self.learn_bias)

    def _rule_row(
        self, run: Any, seed: int, rate: float, clock: Clock, otherwise: Callable[[float], None]
    ) -> Row:
        numbers = (*map(address_of, (clock.rate, clock.iteration, clock.learns)), seed)
        reals = (rate, self.sgd.momentum)
        return row(rule_row, RULE, run, numbers, lambda: otherwise(clock.rate[0]), reals, keep=clock)

    def apply_weight(self, rate: float) -> None:
        """Apply the accumulated gradient of the weights and start over."""
        assert self._weight_total is not None
        self._update_weight(rate)
        self._weight_total.fill(0)

    def apply_bias(self, rate: float) -> None:
        """Apply the accumulated gradient of the bias and start over."""
        assert self._bias_total is not None
        self._update_bias(rate)
        self._bias_total.fill(0)

    def _update_weight(self, rate: float) -> None:
        weight, extra, gradient, velocity, square = self._weight_buffers
        assert weight is not None
        self._weight_rule(
            weight, extra, self.channels, gradient, self._weight_rate * rate, velocity,
            self.sgd.momentum, self.state.iteration, square,
        )  # fmt: skip

    def _update_bias(self, rate: float) -> None:
        self._step_bias(self._bias_rate * rate, self.sgd.momentum, self.state.iteration)

    def _columns_only(self, slot: Slot) -> bool:
        """True if the buffer holds only the selected channels of what the state holds whole."""
        return slot.part is SlotPart.WEIGHT and (slot.kind is Kind.GRADIENT or self.compact)

    def _stored(self, slot: Slot, view: Array | None = None) -> Array:
        """Return the state's array for a buffer, created as zeros when training starts to need it."""
        arrays = self.state.arrays
        if slot not in arrays:
            like = view if view is not None else arrays[self._own[Kind.VALUE, SlotPart.WEIGHT]]
            arrays[slot] = np.zeros(like.shape, np.float32)
        return arrays[slot]
