"""A parameter moved along a random direction, back, and by what that did to the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import SlotPart
from mcusim.data.counter import bits
from mcusim.engine.learning import Clock, Learner
from mcusim.graph import Op
from mcusim.kernels.columns import gather, scatter
from mcusim.kernels.number_formats.rounding import WEIGHT_TOP
from mcusim.kernels.update import draw_seed, signed
from mcusim.lowering.step import Step

Array = NDArray[Any]
DIRECTION = 11
"""Key of the draws, which tells them from those of stochastic rounding."""
WIDEST = 2**20
"""The most units by which a bias is moved."""


class Perturbation:
    """Moves the selected weights, or the bias, of one op, up or down by its units: SPSA (Spall 1992).

    Args:
        step: the step that it is part of.
        learner: the parameters of the op.
        part: which of them.
        seed: of the directions; with it the iteration and the place of a number among those that move.
        clock: says which iteration it is, the rate, and whether anything learns.
        clean: buffer of the selected weights as they are; None for a bias, which is moved back exactly.
    """

    def __init__(
        self, step: Step, learner: Learner, part: SlotPart, seed: int, clock: Clock, clean: Array | None
    ) -> None:
        self._learner, self._part, self._clock, self._clean = learner, part, clock, clean
        self._seed = signed(draw_seed(seed, step.model.place(learner.op.name), part))
        self._value = learner.value(part)
        self.units: Any = step.scope.perturbation
        """How far each number moves, in its own units."""
        if clean is None:
            self.units = bias_units(step, learner.op, step.scope.perturbation)
        self._signs: Array = np.empty(0, np.int32)

    def move(self) -> None:
        """Keep the weights, and move up along a new direction."""
        shape = self._value.shape if self._clean is None else self._clean.shape
        drawn = bits(self._seed, DIRECTION, self._clock.iteration[0], np.arange(np.prod(shape)))
        self._signs = (1 - 2 * (drawn >> np.uint64(63)).astype(np.int32)).reshape(shape)
        if self._clean is not None:
            self._clean[...] = self._selected()
        self._go(1)

    def flip(self) -> None:
        """Move to the other side of where the parameter was."""
        self._go(-1 if self._clean is not None else -2)

    def learn(self, difference: float) -> None:
        """Move back; step by the loss above less that below over the way from there to here."""
        if self._clean is None:
            self._go(1)
        else:
            self._put(self._clean)
        if not self._clock.learns[0]:
            return
        slope = np.float32(difference) / (2 * np.asarray(self.units, np.float32)) * self._signs
        learner, rate = self._learner, self._clock.rate[0]
        if self._part is SlotPart.WEIGHT:
            learner.weight_gradient[...] = slope
            learner.learn_weight(rate)
        else:
            learner.bias_gradient[...] = slope
            learner.learn_bias(rate)

    def _go(self, times: int) -> None:
        way = times * self.units * self._signs
        if self._clean is None:
            self._value += way
        else:
            self._put(np.clip(self._clean + way, -WEIGHT_TOP, WEIGHT_TOP).astype(np.int8))

    def _selected(self) -> Array:
        learner = self._learner
        if learner.compact:
            return self._value
        return gather(learner.op, self._value, learner.channels, learner.inputs)

    def _put(self, block: Array) -> None:
        learner = self._learner
        if learner.compact:
            self._value[...] = block
        else:
            scatter(learner.op, self._value, learner.channels, learner.inputs, block)


def bias_units(step: Step, op: Op, units: int) -> NDArray[np.int32]:
    """Return how far the bias of each channel moves: as far as moves the output by so many of its units.

    That is units * s_y / (s_x * s_W[c]), rounded half to even, at least 1 and at most 2**20; int32
    of the bias's shape.
    """
    tensors = step.model.tensors
    x, weight, y = (tensors[name].quant for name in (op.inputs[0], op.inputs[1], op.output))
    assert x is not None
    assert weight is not None
    assert y is not None
    scale = y.scale.astype(np.float64) / (x.scale.astype(np.float64) * weight.scale)
    assert op.bias is not None
    found = np.broadcast_to(np.clip(np.rint(units * scale), 1, WIDEST), tensors[op.bias].shape)
    return found.astype(np.int32)
