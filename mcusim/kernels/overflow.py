"""Which ops can overflow their 32-bit accumulators for some input, and by how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Model, Op
from mcusim.kernels.scales import accumulator_factors, clamp_of, quant_of, rescaling

LIMIT = 2**31 - 1
SHOWN = 3
"""Ops that a message names."""


@dataclass(frozen=True, slots=True)
class Overflow:
    """An op whose accumulator can leave 32 bits.

    Attributes:
        op: its name.
        channel: the output channel in which it is furthest out.
        reached: the largest magnitude there, over all inputs that the op before can give.
        limit: the largest that is still right: 2**31 - 1, or less where the accumulator is shifted to the
            left before it is multiplied, as TFLite does for factors above 1.
    """

    op: str
    channel: int
    reached: int
    limit: int

    @property
    def times(self) -> float:
        """How many times the limit."""
        return self.reached / self.limit

    def __str__(self) -> str:
        return f"op '{self.op}' by {self.reached - self.limit:,} (channel {self.channel:,})"


def overflows(model: Model) -> list[Overflow]:
    """Return the ops that can overflow, in the order of the network.

    An accumulator is the bias and the sum of weight times input, each input as far from its zero point as the
    op that gives it can bring it. Every bound is reached by an input of that op, though perhaps by none of
    the network: what is not in the list cannot overflow. Sums are of two's complement, so what overflows on
    the way and comes back does no harm.
    """
    givers = {op.output: op for op in model.ops}
    found = (_overflow(model, op, givers.get(op.inputs[0])) for op in model.ops if op.traits.weighted)
    return [one for one in found if one is not None]


def overflow_message(model: Model, found: list[Overflow]) -> str:
    """Return one line about the ops that can overflow, and what a device would make of it."""
    named = ", ".join(map(str, found[:SHOWN])) + (
        f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    )
    does = "a device wraps there, and so does this simulation"
    if model.arithmetic is Arithmetic.FLOAT:
        does = (
            "a library that wraps there gives other outputs; the arithmetic float, here and in mcusim's"
            " firmware, adds beyond 32 bits"
        )
    return f"can overflow 32-bit accumulators for some input: {named}; {does}"


def _overflow(model: Model, op: Op, giver: Op | None) -> Overflow | None:
    x, w = (model.tensors[name] for name in op.inputs[:2])
    if x.dtype != "int8" or w.dtype != "int8" or w.data is None:
        return None
    low, high = (-128, 127) if giver is None else clamp_of(giver)
    zero = quant_of(x).zero_point
    lowest, highest = min(low - zero, 0), max(high - zero, 0)  # 0 is what padding adds
    rows = _channels(op, w.data.astype(np.int64) - quant_of(w).zero_point)
    positive, negative = np.maximum(rows, 0).sum(1), np.minimum(rows, 0).sum(1)
    bias = model.tensors[op.bias].data if op.bias is not None else None
    start = np.zeros(len(rows), np.int64) if bias is None else bias.astype(np.int64)
    up = start + positive * highest + negative * lowest
    down = start + positive * lowest + negative * highest
    reached = np.maximum(up, -down - 1)
    limit = _limits(model, op, len(rows))
    worst = int(np.argmax(reached / limit))
    if reached[worst] <= limit[worst]:
        return None
    return Overflow(op.name, worst, int(reached[worst]), int(limit[worst]))


def _channels(op: Op, weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return weights as ``(output channels, weights of each)``."""
    axis = op.traits.channel_axis
    return np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)


def _limits(model: Model, op: Op, channels: int) -> NDArray[np.int64]:
    """Return the largest accumulator of each channel that is rescaled right."""
    y = model.tensors[op.output]
    if not model.arithmetic.fixed_point or y.dtype != "int8":
        return np.full(channels, LIMIT, np.int64)
    factors = accumulator_factors(op, model.tensors)
    shifts = rescaling(factors, quant_of(y).zero_point, op, model.arithmetic).shift
    return LIMIT >> np.maximum(shifts, 0).astype(np.int64)
