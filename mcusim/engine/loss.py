"""The loss of one output, bound to the buffers of a step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.engine.buffers import Buffers
from mcusim.graph import QUANTISED, Model, Tensor
from mcusim.kernels.compiled.move import copying
from mcusim.kernels.compiled.rows import Rows
from mcusim.kernels.loss import CompiledLoss, real_values
from mcusim.lowering.backward import gradient_name
from mcusim.tasks.goals import Goal

Array = NDArray[Any]


class Loss:
    """Computes the loss of one output and writes the gradient of its logits.

    With ``place``, the tensor that holds the logits of another pass, nobody wants the gradient.

    Attributes:
        rows: what computes it, for a table: compiled for every task of this package.
    """

    def __init__(
        self, goal: Goal, model: Model, logits: str, buffers: Buffers, *, place: str | None = None
    ) -> None:
        self.goal = goal
        tensor, target = model.tensors[logits], goal.target(model)
        # Copies on the host: the score is found when somebody asks, after other tensors took the place.
        self._real, take = _taken(tensor, buffers.view(place or logits))
        calls = [take]
        self._target: Array = np.zeros(1, np.int64)
        self._place: Array | None = None
        if target is not None:
            self._place = buffers.view(target.name)
            self._target, take = _taken(target, self._place)
            calls.append(take)
        self._gradient = np.empty(tensor.elements, np.float32)
        if place is None:
            self._gradient = buffers.view(gradient_name(logits)).reshape(-1)
        # A quantised output's gradient is with respect to its integers; an accumulator's is with
        # respect to the real logits, since the head's own factor s_x * s_W already holds the scale.
        chain: Array | None = None
        if tensor.dtype in QUANTISED and tensor.quant is not None:
            chain = tensor.quant.scale.astype(np.float32)
        if goal.weight != 1:
            chain = np.multiply(1 if chain is None else chain, np.float32(goal.weight), dtype=np.float32)
        self._chain = None if chain is None else np.array(np.broadcast_to(chain, self._gradient.shape))
        self._loss, self._score = goal.loss(), goal.task.score
        self._value: Array = np.zeros(1, np.float64)
        if isinstance(self._loss, CompiledLoss):
            self._value = np.zeros(1, np.float32)
            own = self._loss.row(self._real, self._target, self._gradient, self._value, self._chain)
            self.rows = Rows(*calls, own)
        else:
            self.rows = Rows(*calls, self._run)

    @property
    def value(self) -> float:
        """The loss of the last example, without its weight."""
        return float(self._value[0])

    @property
    def score(self) -> float:
        """How well the last example was done, by the goal's task."""
        return self._score(self._real, self.wanted)

    @property
    def wanted(self) -> Any:
        """The class of the example, or where that is none, its target."""
        return self._target if self._place is not None else int(self._target[0])

    def expect(self, target: Any) -> None:
        """Set what the next example is compared with."""
        if self._place is None:
            self._target[0] = target
        else:
            np.copyto(self._place, target)

    def _run(self) -> None:
        """Compute a loss that is Python's."""
        self._value[0] = self._loss(self._real, self.wanted, self._gradient)
        if self._chain is not None:
            np.multiply(self._gradient, self._chain, out=self._gradient)


def _taken(tensor: Tensor, view: Array) -> tuple[Array, Callable[[], Any]]:
    """Return an array for the real values of a tensor, flat, and what writes them there.

    They are as they are without a scale.
    """
    flat = view.reshape(-1)
    if tensor.quant is None:
        same = np.zeros(flat.shape, flat.dtype)
        return same, copying(flat, same)
    scale, zero = tensor.quant.scale.astype(np.float32), np.float32(tensor.quant.zero_point)
    real = np.zeros(flat.shape, np.float32)
    bound = real_values(flat, scale, int(zero), real)
    return real, bound or partial(_convert, flat, zero, scale, real)


def _convert(flat: Array, zero: np.float32, scale: Array, real: Array) -> None:
    real[...] = (flat.astype(np.float32) - zero) * scale
