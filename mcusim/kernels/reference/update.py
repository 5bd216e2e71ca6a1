"""Updates of learned parameters, slowly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mcusim.core import UnknownName
from mcusim.graph import Op, OpKind
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.formats import BIASES, WEIGHTS
from mcusim.kernels.qas import qas_bias, qas_weight

F = np.float32
Floats = Array
Rule = Callable[..., None]
GOLDEN = 0x9E3779B97F4A7C15
WORD = (1 << 64) - 1


def mix(z: int) -> int:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014): a bijection that spreads every bit."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


def key_of(seed: int, counter: int) -> int:
    """Return the 64-bit key under which the elements of one update draw their numbers."""
    return mix((mix(seed & WORD) + GOLDEN * (counter + 1)) & WORD)


def uniform(key: int, index: Array) -> Array:
    """Return u in [0, 1) with 32 bits for every element index: no generator has any state."""
    words = [mix((key + GOLDEN * (int(i) + 1)) & WORD) >> 32 for i in index.reshape(-1)]
    return (np.array(words, np.float64) * 2.0**-32).reshape(index.shape)


def clamp(v: Array, low: float, high: float) -> Array:
    """Clamp; NaN becomes ``low``, so that a diverged run stays the same on every machine."""
    return np.where(v >= low, np.minimum(v, high), low)


def split(fixed: Array) -> tuple[Array, Array]:
    """Return whole numbers of 1/256 as nearest integers, int64, and int8 residuals in [-128, 127]."""
    value = fixed.astype(np.int64)
    high = (value + 128) >> 8
    return high, (value - (high << 8)).astype(np.int8)


def step_values(
    w: Array, companion: Array | None, step: Floats, format: str, u: Array
) -> tuple[Array, Array | None]:
    """Return the new integer weights and companions."""
    if format == "int8":
        return clamp(np.rint(w.astype(F) - step), -127, 127).astype(np.int8), companion
    if format == "int8-sr":
        change = np.floor(u - step.astype(np.float64))
        return clamp(w.astype(np.float64) + change, -127, 127).astype(np.int8), companion
    assert companion is not None
    if format == "int8+res8":
        fixed = (w.astype(np.int32) * 256 + companion).astype(F) - step * F(256)
        high, residual = split(clamp(np.rint(fixed), -127 * 256 - 128, 127 * 256 + 127))
        return high.astype(np.int8), residual
    latent = companion - step
    return clamp(np.rint(latent), -127, 127).astype(np.int8), latent


def weight_rule(op: Op, tensors: Tensors, format: str, *, compact: bool = False, seed: int = 0) -> Rule:
    """Return the rule; see ``mcusim.kernels.update.weight_rule``."""
    weight, inputs = tensors[op.inputs[1]], tensors[op.inputs[0]].shape[-1]
    if format not in WEIGHTS:
        raise UnknownName("weight format", format, WEIGHTS)
    if op.kind is OpKind.FULLY_CONNECTED:
        inputs = weight.shape[-1]
    factors = qas_weight(op, tensors)
    element = np.arange(weight.elements, dtype=np.int64).reshape(weight.shape)

    def rule(
        weight: Array, companion: Array | None, channels: NDArray[np.int32], gradient: Floats, rate: float,
        velocity: Floats | None, momentum: float, counter: int,
    ) -> None:  # fmt: skip
        def block(array: Array | None) -> Array | None:
            return array if array is None or compact else columns(op, array, inputs)[channels]

        def put(array: Array | None, values: Array | None) -> None:
            if array is not None and compact:
                array[...] = values
            elif array is not None:
                columns(op, array, inputs)[channels] = values

        factor = (
            factors.reshape(inputs, 1, 1, -1)[channels] if op.kind is OpKind.DEPTHWISE_CONV_2D else factors
        )
        scaled = gradient * factor
        if velocity is not None:
            scaled = F(momentum) * np.asarray(block(velocity)) + scaled
            put(velocity, scaled)
        step = F(rate) * scaled
        old = block(weight)
        assert old is not None
        if old.dtype == np.float32:
            put(weight, old - step)
            return
        u = (
            uniform(key_of(seed, counter), columns(op, element, inputs)[channels])
            if format == "int8-sr"
            else step
        )
        new, kept = step_values(old, block(companion), step, format, u)
        put(weight, new)
        put(companion, kept)

    return rule


def columns(op: Op, weight: Array, inputs: int) -> Array:
    """Return a view of a weight with the input channel first: (C_in, kh, kw, C_out)."""
    if op.kind is OpKind.FULLY_CONNECTED:
        return weight.T
    if op.kind is OpKind.DEPTHWISE_CONV_2D:
        _, height, width, outputs = weight.shape
        return weight.reshape(height, width, inputs, outputs // inputs).transpose(2, 0, 1, 3)
    return weight.transpose(3, 1, 2, 0)


def bias_rule(op: Op, tensors: Tensors, format: str, *, seed: int = 0) -> Rule:
    """Return the rule; see ``mcusim.kernels.update.bias_rule``."""
    factors = qas_bias(op, tensors)
    if format not in BIASES:
        raise UnknownName("bias format", format, BIASES)

    def rule(
        bias: Array, companion: Array | None, gradient: Floats, rate: float, velocity: Floats | None,
        momentum: float, counter: int,
    ) -> None:  # fmt: skip
        scaled = gradient * factors
        if velocity is not None:
            scaled = F(momentum) * velocity + scaled
            velocity[...] = scaled
        step = F(rate) * scaled
        if bias.dtype == np.float32:
            bias -= step
            return
        wide = bias.astype(np.float64)
        if format == "int32+res8":
            assert companion is not None
            fixed = np.rint(wide * 256 + companion - step.astype(np.float64) * 256)
            bias[...], companion[...] = split(clamp(fixed, -(2**31) * 256 - 128, (2**31 - 1) * 256 + 127))
            return
        if format == "int32-sr":
            wide = wide + np.floor(
                uniform(key_of(seed, counter), np.arange(bias.size)) - step.astype(np.float64)
            )
        else:
            wide = np.rint(wide - step.astype(np.float64))
        bias[...] = clamp(wide, -(2**31), 2**31 - 1).astype(np.int32)

    return rule
