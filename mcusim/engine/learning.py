"""The learned parameters of one op: where they lie, and how a gradient changes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.engine.buffers import Buffers
from mcusim.engine.columns import gather, scatter
from mcusim.engine.state import State, constant
from mcusim.graph import Op
from mcusim.kernels import update as kernels
from mcusim.lowering.residency import Residency
from mcusim.lowering.step import Step
from mcusim.update.optimizer import Sgd
from mcusim.update.selection import Selection

Array = NDArray[Any]


class Learner:
    """Binds the parameters of one learning op to the buffers of a step.

    ``weight`` and ``bias`` are the arrays the kernels read. With the selected channels alone in SRAM
    (``compact``), ``weight`` is what the forward kernel sees: the weights in flash, overlaid with the
    columns in SRAM by ``merge`` before every use, as a device kernel does it channel by channel.
    """

    def __init__(self, op: Op, step: Step, buffers: Buffers, state: State, sgd: Sgd, seed: int) -> None:
        self.op, self.state, self.sgd = op, state, sgd
        self.head = op.name == step.model.head and step.scope.head
        self.inputs = step.model.tensors[op.inputs[0]].shape[-1]
        self._names = [n for n in _names(op) if n in step.tensors]
        self._views = {n: buffers.view(n) for n in self._names}
        learns = f"weight:{op.name}" in self._views
        self.compact = learns and not self.head and step.residency is Residency.FLASH
        self.weight: Array = self._views.get(f"weight:{op.name}", constant(step.model, op.inputs[1]))
        if self.compact:
            self.weight = np.empty(step.model.tensors[op.inputs[1]].shape, np.int8)
        self.bias: Array | None = None
        if op.bias is not None:
            self.bias = self._views.get(f"bias:{op.name}", constant(step.model, op.bias))
        count = self.inputs if self.head else step.scope.channels.get(op.name, 0)
        self._columns = [(n, v) for n, v in self._views.items() if self._columns_only(n)]
        self._whole = [
            (n, v)
            for n, v in self._views.items()
            if not self._columns_only(n) and not n.startswith("channels:")
        ]
        self._count = count if learns else 0
        # Kernels remember the arrays they have met, so the channels change in place.
        self.channels = np.arange(self._count, dtype=np.int32)
        block = gather(op, self._whole_shape(step), np.arange(self._count, dtype=np.int32), self.inputs)
        self.weight_gradient = np.zeros(block.shape, np.float32)
        self.bias_gradient = np.zeros(0 if self.bias is None else self.bias.shape, np.float32)
        rate = sgd.lr / sgd.accumulate
        layer = sgd.head_rate if self.head else sgd.layer_rate(op.name)
        self._weight_rate = rate * layer * (1.0 if self.head else sgd.weight_rate)
        self._bias_rate = rate * layer * (1.0 if self.head else sgd.bias_rate)
        self._weight_total = self._views.get(f"gradient:weight:{op.name}")
        self._bias_total = self._views.get(f"gradient:bias:{op.name}")
        self._weight_buffers = (
            self._views.get(f"weight:{op.name}"), self._views.get(f"companion:{op.name}"),
            self.weight_gradient if self._weight_total is None else self._weight_total,
            self._views.get(f"momentum:weight:{op.name}"),
        )  # fmt: skip
        index = next(i for i, o in enumerate(step.model.ops) if o.name == op.name)
        self._weight_rule = kernels.weight_rule(
            op, step.model.tensors, step.formats.weight, compact=self.compact, seed=seed * 65_536 + 2 * index
        )
        if f"bias:{op.name}" in self._views:
            rule = kernels.bias_rule(
                op, step.model.tensors, step.formats.bias, seed=seed * 65_536 + 2 * index + 1
            )
            self._step_bias = rule.call(
                self._views[f"bias:{op.name}"],
                self._views.get(f"companion:bias:{op.name}"),
                self.bias_gradient if self._bias_total is None else self._bias_total,
                self._views.get(f"momentum:bias:{op.name}"),
            )

    @property
    def chooses(self) -> bool:
        """True if which channels learn changes with the stage."""
        return self._count > 0 and not self.head

    def _whole_shape(self, step: Step) -> Array:
        """Return an array of the weight's shape that takes no memory."""
        return np.broadcast_to(np.int8(0), step.model.tensors[self.op.inputs[1]].shape)

    def load(self, selection: Selection) -> None:
        """Copy the parameters from the state into the buffers; set the channels that learn."""
        for key, view in self._whole:
            view[...] = self._stored(key, view)
        if self.compact:
            self.weight[...] = self.state.arrays[f"weight:{self.op.name}"]
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
        for key, view in self._whole:
            self._stored(key, view)[...] = view

    def _store_columns(self) -> None:
        for key, view in self._columns:
            scatter(self.op, self._stored(key), self.channels, self.inputs, view)

    def _load_columns(self, selection: Selection) -> None:
        if not self.head and self._count:
            self.channels[...] = selection.channels[self.op.name]
            self._views[f"channels:{self.op.name}"][...] = self.channels
        for key, view in self._columns:
            view[...] = gather(self.op, self._stored(key), self.channels, self.inputs)

    def merge(self) -> None:
        """Overlay the columns in SRAM on the weights in flash."""
        scatter(self.op, self.weight, self.channels, self.inputs, self._views[f"weight:{self.op.name}"])

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
        weight, companion, gradient, velocity = self._weight_buffers
        self._weight_rule(
            weight, companion, self.channels, gradient, self._weight_rate * rate, velocity,
            self.sgd.momentum, self.state.iteration,
        )  # fmt: skip

    def _update_bias(self, rate: float) -> None:
        self._step_bias(self._bias_rate * rate, self.sgd.momentum, self.state.iteration)

    def _columns_only(self, key: str) -> bool:
        """True if the buffer holds only the selected channels of what the state holds whole."""
        biases = ("bias:", "companion:bias:", "momentum:bias:", "gradient:bias:")
        whole = key.startswith(("channels:", *biases))
        return not whole and (key.startswith("gradient:weight:") or self.compact)

    def _stored(self, key: str, view: Array | None = None) -> Array:
        """Return the state's array for a buffer, created as zeros when training starts to need it."""
        arrays = self.state.arrays
        if key not in arrays:
            like = view if view is not None else arrays[f"weight:{self.op.name}"]
            arrays[key] = np.zeros(like.shape, np.float32)
        return arrays[key]


def _names(op: Op) -> list[str]:
    name = op.name
    return [
        f"weight:{name}", f"companion:{name}", f"channels:{name}", f"bias:{name}",
        f"companion:bias:{name}", f"momentum:weight:{name}", f"momentum:bias:{name}",
        f"gradient:weight:{name}", f"gradient:bias:{name}",
    ]  # fmt: skip
