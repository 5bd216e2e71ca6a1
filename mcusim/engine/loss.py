"""The loss of one output, bound to the buffers of a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.engine.buffers import Buffers
from mcusim.graph import QUANTISED, Model, Tensor
from mcusim.lowering.backward import gradient_name
from mcusim.tasks.goals import Goal

Array = NDArray[Any]


class Loss:
    """Computes the loss of one output and writes the gradient of its logits.

    With ``place``, the tensor that holds the logits of another pass, nobody wants the gradient.

    Attributes:
        value: the loss of the last example, without its weight.
        score: how well the last example was done, by the goal's task.
    """

    def __init__(
        self, goal: Goal, model: Model, logits: str, buffers: Buffers, *, place: str | None = None
    ) -> None:
        self.goal = goal
        self.value, self.score = 0.0, 0.0
        self._wanted: Any = 0
        tensor, target = model.tensors[logits], goal.target(model)
        self._logits = _reals(tensor, buffers, place)
        self._target = None if target is None else _reals(target, buffers)
        self._place = None if target is None else buffers.view(target.name)
        self._gradient = np.empty(tensor.elements, np.float32)
        if place is None:
            self._gradient = buffers.view(gradient_name(logits)).reshape(-1)
        self._loss, self._score = goal.loss(), goal.task.score
        # A quantised output's gradient is with respect to its integers; an accumulator's is with
        # respect to the real logits, since the head's own factor s_x * s_W already holds the scale.
        chain = tensor.quant.scale if tensor.dtype in QUANTISED and tensor.quant is not None else None
        if goal.weight != 1:
            chain = np.multiply(1 if chain is None else chain, np.float32(goal.weight), dtype=np.float32)
        self._chain = chain

    def expect(self, target: Any) -> None:
        """Set what the next example is compared with."""
        if self._place is None:
            self._wanted = int(target)
        else:
            np.copyto(self._place, target)

    def run(self) -> None:
        """Compute loss, score and gradient of the example in the buffers."""
        real = self._logits()
        wanted = self._wanted if self._target is None else self._target()
        self.value = self._loss(real, wanted, self._gradient)
        self.score = self._score(real, wanted)
        if self._chain is not None:
            np.multiply(self._gradient, self._chain, out=self._gradient)


def _reals(tensor: Tensor, buffers: Buffers, place: str | None = None) -> Callable[[], Array]:
    """Return what gives the real values of a tensor in the buffers, flat; as they are without a scale."""
    flat = buffers.view(place or tensor.name).reshape(-1)
    if tensor.quant is None:
        return lambda: flat
    scale, zero = tensor.quant.scale, np.float32(tensor.quant.zero_point)
    return lambda: (flat.astype(np.float32) - zero) * scale
