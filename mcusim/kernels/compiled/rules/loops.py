"""The loops over the elements of a parameter that all compiled update rules share, and what they round with.

A rule is a function ``step(a, at, element, step, key)`` that moves one element: ``a`` is the record below,
``at`` the element's place in the buffers, ``element`` its place in the whole parameter, ``step`` the float32
to subtract, ``key`` what stochastic rounding draws from.
"""

from __future__ import annotations

import numpy as np

from mcusim.kernels.compiled.compiler import inlined, inner
from mcusim.kernels.compiled.prepared import array_at, exist, record_at

FIELDS = (
    "value", "extra", "channels", "selected", "gradient", "velocity", "factor", "factors", "compact", "taps",
    "last", "depth", "stride_group", "stride_channel", "stride_tap", "stride_last", "elements",
    "factor_group", "inputs", "square", "decay",
)  # fmt: skip
RECORD = np.dtype([(name, np.int64) for name in FIELDS])
EPSILON = np.float32(1e-8)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@inner
def mix(z):  # type: ignore[no-untyped-def]
    """SplitMix64's finaliser; see the slow twin."""
    z = (z ^ (z >> np.uint64(30))) * MIX_1
    z = (z ^ (z >> np.uint64(27))) * MIX_2
    return z ^ (z >> np.uint64(31))


@inner
def uniform(key, index):  # type: ignore[no-untyped-def]
    """Return u in [0, 1) with 32 bits for an element index."""
    word = mix(key + GOLDEN * np.uint64(index + 1)) >> np.uint64(32)
    return np.float64(np.int64(word)) * 2.0**-32


@inner
def clamp(value, low, high):  # type: ignore[no-untyped-def]
    """Clamp; NaN becomes ``low``."""
    return min(value, high) if value >= low else low


@inner
def split(value):  # type: ignore[no-untyped-def]
    """Return a whole number of 1/256 as the nearest integer and a residual in [-128, 127]."""
    high = (value + 128) >> 8
    return high, value - (high << 8)


@inner
def adapted(a, at, gradient, scaled, value):  # type: ignore[no-untyped-def]
    """Return a step divided by the root of the mean square, after this gradient was added to the mean."""
    square, decay = array_at(a.square, a.elements, np.float32), array_at(a.decay, 2, np.float32)
    power = gradient * scaled
    mean = power if square[at] == 0 else decay[0] * square[at] + decay[1] * power
    square[at] = mean
    return value / (np.sqrt(mean) + EPSILON)


@inner
def key_of(seed, counter):  # type: ignore[no-untyped-def]
    """Return what the draws of one iteration start from."""
    return mix(mix(np.uint64(seed)) + GOLDEN * np.uint64(counter + 1))


@inlined
def over_weight(address, rate, momentum, seed, counter, step):  # type: ignore[no-untyped-def]
    """Apply the gradient block [selected, taps, last] to the weights of the selected input channels.

    Return False, and change nothing, if a channel does not exist.
    """
    a = record_at(address, RECORD)
    if not exist(a.channels, a.selected, a.inputs):
        return False
    key = key_of(seed, counter)
    block = a.taps * a.last
    channels = array_at(a.channels, a.selected, np.int32)
    gradient = array_at(a.gradient, a.selected * block, np.float32)
    velocity = array_at(a.velocity, a.elements, np.float32)
    factor = array_at(a.factor, a.factors, np.float32)
    for s in range(a.selected):
        group = channels[s] // a.depth
        base = group * a.stride_group + channels[s] % a.depth * a.stride_channel
        own = group * a.factor_group
        for tap in range(a.taps):
            for c in range(a.last):
                here = s * block + tap * a.last + c
                element = base + tap * a.stride_tap + c * a.stride_last
                at = here if a.compact else element
                scaled = gradient[here] * factor[own + c]
                value = scaled
                if a.velocity != 0:
                    value = np.float32(momentum) * velocity[at] + value
                    velocity[at] = value
                if a.square != 0:
                    value = adapted(a, at, gradient[here], scaled, value)
                step(a, at, element, np.float32(rate) * value, key)
    return True


@inlined
def over_bias(address, rate, momentum, seed, counter, step):  # type: ignore[no-untyped-def]
    """Apply the gradient of a bias."""
    a = record_at(address, RECORD)
    key = key_of(seed, counter)
    gradient = array_at(a.gradient, a.elements, np.float32)
    velocity = array_at(a.velocity, a.elements, np.float32)
    factor = array_at(a.factor, a.elements, np.float32)
    for c in range(a.elements):
        scaled = gradient[c] * factor[c]
        value = scaled
        if a.velocity != 0:
            value = np.float32(momentum) * velocity[c] + value
            velocity[c] = value
        if a.square != 0:
            value = adapted(a, c, gradient[c], scaled, value)
        step(a, c, c, np.float32(rate) * value, key)
    return True
