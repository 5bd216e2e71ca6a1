"""Updates of learned parameters, slowly."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Op, OpKind
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.columns import gather, of_outputs, scatter
from mcusim.kernels.number_formats import BIASES, WEIGHTS
from mcusim.kernels.number_formats.rounding import key_of, uniform
from mcusim.kernels.qas import qas_bias, qas_weight

F = np.float32
Floats = Array
Rule = Callable[..., None]


def _adapted(
    square: Array, gradient: Floats, scaled: Floats, value: Floats, second_moment: float
) -> tuple[Floats, Floats]:
    """Return the new mean square of real gradients, and the value divided by its root."""
    power = gradient * scaled
    kept = F(second_moment) * square + F(1 - second_moment) * power
    mean = np.where(square == 0, power, kept).astype(F)
    return mean, value / (np.sqrt(mean) + F(1e-8))


def weight_rule(
    op: Op, tensors: Tensors, format: str, *, compact: bool = False, seed: int = 0, second_moment: float = 0.0
) -> Rule:
    """Return the rule; see ``mcusim.kernels.update.weight_rule``."""
    weight, inputs = tensors[op.inputs[1]], tensors[op.inputs[0]].shape[-1]
    own = WEIGHTS.of(format, weight.dtype)
    if op.kind is OpKind.FULLY_CONNECTED:
        inputs = weight.shape[-1]
    factors, weight_shape = qas_weight(op, tensors), weight.shape
    element = np.arange(weight.elements, dtype=np.int64).reshape(weight.shape)

    def rule(
        weight: Array, extra: Array | None, channels: NDArray[np.int32], gradient: Floats, rate: float,
        velocity: Floats | None, momentum: float, counter: int, square: Floats | None = None,
    ) -> None:  # fmt: skip
        def block(array: Array) -> Array:
            return array if compact else gather(op, array, channels, inputs)

        def put(array: Array, values: Array) -> None:
            if compact:
                array[...] = values
            else:
                scatter(op, array, channels, inputs, values)

        factor = of_outputs(op, factors, weight_shape, channels, inputs)
        if factor.ndim == 2:
            factor = factor[:, None, None]
        scaled = value = gradient * factor
        if velocity is not None:
            value = F(momentum) * block(velocity) + value
            put(velocity, value)
        if square is not None:
            mean, value = _adapted(block(square), gradient, scaled, value, second_moment)
            put(square, mean)
        draw = partial(uniform, key_of(seed, counter), gather(op, element, channels, inputs))
        beside = None if extra is None else block(extra)
        new, kept = own.step(block(weight), beside, F(rate) * value, draw)
        put(weight, new)
        if extra is not None and kept is not None:
            put(extra, kept)

    return rule


def bias_rule(op: Op, tensors: Tensors, format: str, *, seed: int = 0, second_moment: float = 0.0) -> Rule:
    """Return the rule; see ``mcusim.kernels.update.bias_rule``."""
    factors = qas_bias(op, tensors)
    own = BIASES.of(format, "int32" if tensors[op.inputs[1]].dtype == "int8" else "float32")

    def rule(
        bias: Array, extra: Array | None, gradient: Floats, rate: float, velocity: Floats | None,
        momentum: float, counter: int, square: Floats | None = None,
    ) -> None:  # fmt: skip
        scaled = value = gradient * factors
        if velocity is not None:
            value = F(momentum) * velocity + value
            velocity[...] = value
        if square is not None:
            square[...], value = _adapted(square, gradient, scaled, value, second_moment)
        draw = partial(uniform, key_of(seed, counter), np.arange(bias.size))
        bias[...], kept = own.step(bias, extra, F(rate) * value, draw)
        if extra is not None:
            extra[...] = kept

    return rule
