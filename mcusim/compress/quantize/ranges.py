"""From the values of a tensor to the range that its 256 levels cover."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcusim.compress.quantize.calibrate import ObservedRange
from mcusim.compress.quantize.forward import Array
from mcusim.core import BadArgument, Registry
from mcusim.graph import Quant

Range = tuple[float, float]
RANGES: Registry[Callable[[ObservedRange], Range]] = Registry("range method", "mcusim.ranges")
PERCENTILE = 99.99
_SHRINK = np.linspace(0.2, 1.0, 81)
_TINY = 1e-6


@RANGES.register("minmax")
def minmax(statistics: ObservedRange) -> Range:
    """Return the extremes: nothing is clipped, and one outlier costs all others resolution."""
    return statistics.low, statistics.high


@RANGES.register("percentile")
def percentile(statistics: ObservedRange) -> Range:
    """Return the range that leaves 0.01 % of the values outside on each side."""
    low, high = np.percentile(statistics.sample, [100 - PERCENTILE, PERCENTILE])
    return float(low), float(high)


@RANGES.register("mse")
def mean_squared_error(statistics: ObservedRange) -> Range:
    """Return the range, of 81 shrunk versions of the extremes on each side, with the least squared error.

    One side is searched while the other stays, the upper one first, and then once more, on at
    most about 65,536 values.
    """
    sample = statistics.sample
    sample = sample[:: max(1, len(sample) // 2**16)]
    low, high = min(statistics.low, 0.0), max(statistics.high, 0.0)
    low_now, high_now = low, high
    for _ in range(2):
        high_now = min((high * s for s in _SHRINK), key=lambda h: _error(sample, low_now, h))
        low_now = min((low * s for s in _SHRINK), key=lambda x: _error(sample, x, high_now))
        if low == 0 or high == 0:
            break
    return float(low_now), float(high_now)


def _error(sample: Array, low: float, high: float) -> float:
    quant = affine(low, high)
    scale, zero = np.float32(quant.scale[0]), quant.zero_point
    levels = np.clip(np.rint(sample / scale), -128 - zero, 127 - zero)
    return float(np.square(sample - levels * scale).mean())


def affine(low: float, high: float) -> Quant:
    """Return the int8 quantisation that covers [low, high] widened to contain zero, as TFLite's."""
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    if not np.isfinite(low) or not np.isfinite(high):
        raise BadArgument(f"range {low} to {high}", "is not finite", "check the network and the data")
    scale = max(high - low, _TINY) / 255
    return Quant.of(scale, int(np.clip(np.rint(-128 - low / scale), -128, 127)))
