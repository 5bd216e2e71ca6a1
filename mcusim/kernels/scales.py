"""From the scales of tensors to the constants that rescale an accumulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import frexp

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.graph import LIMITS, Arithmetic, Op, OpKind, Quant, Tensor


def quant_of(tensor: Tensor) -> Quant:
    """Return the quantisation of a tensor that must have one.

    Raises:
        BadModel: if it has none, or a scale that is not positive and finite.
    """
    if tensor.quant is None:
        raise BadModel(f"tensor {tensor.name!r}", "has no quantisation", "quantise the network first")
    if not (np.isfinite(tensor.quant.scale).all() and (tensor.quant.scale > 0).all()):
        raise BadModel(f"tensor {tensor.name!r}", "has a scale that is not positive and finite")
    return tensor.quant


def scale_of(tensor: Tensor) -> float:
    """Return the one scale of a tensor as a float64."""
    return float(quant_of(tensor).scale[0])


def multiplier_and_shift(real: float) -> tuple[int, int]:
    """Return TFLite's fixed-point form of a positive factor: real = multiplier * 2**(shift - 31).

    The multiplier is a 31-bit integer in [2**30, 2**31), rounded half away from zero; factors below
    2**-32 become zero, and factors of 2**30 and above saturate, as in TFLite's ``QuantizeMultiplier``.
    """
    if real == 0.0:
        return 0, 0
    mantissa, shift = frexp(real)
    multiplier = int(mantissa * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    if shift > 30:
        return (1 << 31) - 1, 30
    return multiplier, shift


@dataclass(frozen=True, slots=True, eq=False)
class Rescaling:
    """How accumulators of ``C`` channels become output integers.

    ``factor`` (float32, shape (C,)) serves FLOAT and TINYENGINE, ``multiplier`` and ``shift``
    (int32, shape (C,)) serve TFLITE and LITERT; ``real`` (float64, shape (C,)) is there where an op
    rounds once, see `rounds_once`. ``low`` and ``high`` are the clamp, both ends included.
    """

    arithmetic: Arithmetic
    factor: NDArray[np.float32]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int32]
    zero_point: int
    low: int
    high: int
    real: NDArray[np.float64] | None = None


def rounds_once(kind: OpKind, arithmetic: Arithmetic) -> bool:
    """Return whether the int8 output of an op is rounded but once, from a product in float64.

    Source: FullyConnected in TensorFlow 2.20's ``reference/integer_ops/fully_connected.h``.
    """
    return arithmetic is Arithmetic.LITERT and kind is OpKind.FULLY_CONNECTED


def rescaling(factors: NDArray[np.float64], zero_point: int, op: Op, arithmetic: Arithmetic) -> Rescaling:
    """Return the constants for real factors, one a channel."""
    fixed = [multiplier_and_shift(float(f)) for f in factors]
    low, high = clamp_of(op)
    return Rescaling(
        arithmetic,
        factors.astype(np.float32),
        np.array([m for m, _ in fixed], np.int32),
        np.array([s for _, s in fixed], np.int32),
        zero_point,
        low,
        high,
        np.asarray(factors, np.float64) if rounds_once(op.kind, arithmetic) else None,
    )


def clamp_of(op: Op) -> tuple[int, int]:
    """Return the fused activation of an op with int8 output as a range of integers."""
    low, high = op.attributes.clamp or (-128, 127)
    return max(int(low), -128), min(int(high), 127)


def limits_of(op: Op, tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return the fused activation of an op with integer output as a range of integers of its type."""
    floor, ceiling = LIMITS[tensors[op.output].dtype]
    low, high = op.attributes.clamp or (floor, ceiling)
    return max(int(low), floor), min(int(high), ceiling)


def weight_scales(op: Op, tensors: Mapping[str, Tensor]) -> NDArray[np.float64]:
    """Return s_W as float64, one an output channel."""
    weight = tensors[op.inputs[1]]
    channels = weight.shape[op.traits.channel_axis]
    scale = quant_of(weight).scale.astype(np.float64)
    if scale.size not in (1, channels):
        raise BadModel(f"tensor {weight.name!r}", f"has {scale.size} scales for {channels} channels")
    return np.broadcast_to(scale, (channels,))


def accumulator_factors(op: Op, tensors: Mapping[str, Tensor]) -> NDArray[np.float64]:
    """Return s_x * s_W[c] / s_y in float64; s_y = 1 where the output is the accumulator itself.

    TFLite multiplies s_x and s_W of fully connected ops, and of all uint8 ops, in float32 first where
    there is one s_W for all channels (``GetQuantizedConvolutionMultipler``).
    """
    x, y = tensors[op.inputs[0]], tensors[op.output]
    s_y = scale_of(y) if y.dtype in ("int8", "int16") else 1.0
    weights = weight_scales(op, tensors)
    one = quant_of(tensors[op.inputs[1]]).scale.size == 1
    if one and (op.kind is OpKind.FULLY_CONNECTED or op.attributes.unsigned):
        product = np.float32(scale_of(x)) * weights.astype(np.float32)
        return product.astype(np.float64) / s_y
    return scale_of(x) * weights / s_y


def gradient_factors(op: Op, tensors: Mapping[str, Tensor]) -> NDArray[np.float32]:
    """Return s[c], the derivative of a weighted op's output with respect to its accumulator."""
    weight = tensors[op.inputs[1]]
    if weight.dtype == "float32":
        return np.ones(weight.shape[0], np.float32)
    return accumulator_factors(op, tensors).astype(np.float32)
