"""SGD on learned parameters, in place, in the formats they are kept in.

| format | weight | companion | a step |
|---|---|---|---|
| ``int8`` | int8 | | w <- clamp(rint(w - step)) |
| ``int8-sr`` | int8 | | w <- clamp(w + floor(u - step)), u uniform in [0, 1) |
| ``int8+res8`` | int8 | int8 residual | (256 w + r) <- rint((256 w + r) - 256 step), r in [-128, 127] |
| ``float32`` | int8 | float32 latent | latent <- latent - step, w <- clamp(rint(latent)) |
| float32 weights | float32 | | w <- w - step |
| ``int32``, ``int32-sr`` | int32 bias | | as int8 and int8-sr, in float64 |
| ``int32+res8`` | int32 bias | int8 residual | as int8+res8, in float64 |

Weights are clamped to [-127, 127]. step = rate * v with v = gradient * QAS factor, or with momentum
v <- momentum * v + gradient * QAS factor. The random u is a hash of (seed, counter, element index): the
same element draws the same number whether the whole weight or only its selected channels are in SRAM.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, UnknownName
from mcusim.graph import Op, OpKind
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.compiled.prepared import (
    Prepared,
    address_of,
    array_at,
    check,
    check_shape,
    compiled,
    exist,
    inner,
    record_at,
)
from mcusim.kernels.formats import BIASES, WEIGHTS
from mcusim.kernels.qas import qas_bias, qas_weight

FIELDS = (
    "weight", "companion", "channels", "selected", "gradient", "velocity", "factor", "factors", "format",
    "compact", "taps", "last", "stride_channel", "stride_tap", "stride_last", "elements", "factor_channel",
    "inputs",
)  # fmt: skip
RECORD = np.dtype([(name, np.int64) for name in FIELDS])
NEAREST, STOCHASTIC, RESIDUAL, LATENT, REAL, WIDE, WIDE_STOCHASTIC, WIDE_RESIDUAL = range(8)
WEIGHT_CODES = {"int8": NEAREST, "int8-sr": STOCHASTIC, "int8+res8": RESIDUAL, "float32": LATENT}
BIAS_CODES = {"int32": WIDE, "int32-sr": WIDE_STOCHASTIC, "int32+res8": WIDE_RESIDUAL}
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
HALF_TOP = 127 * 256
WIDE_LOW, WIDE_TOP = -(2.0**31) * 256 - 128, (2.0**31 - 1) * 256 + 127


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
def _split(value):  # type: ignore[no-untyped-def]
    """Return a whole number of 1/256 as the nearest integer and a residual in [-128, 127]."""
    high = (value + 128) >> 8
    return high, value - (high << 8)


@inner
def _step_weight(a, at, element, step, key):  # type: ignore[no-untyped-def]
    if a.format == REAL:
        array_at(a.weight, a.elements, np.float32)[at] -= step
        return
    weight = array_at(a.weight, a.elements, np.int8)
    if a.format == NEAREST:
        weight[at] = np.int8(clamp(np.rint(np.float32(weight[at]) - step), np.float32(-127), np.float32(127)))
    elif a.format == STOCHASTIC:
        change = np.floor(uniform(key, element) - np.float64(step))
        weight[at] = np.int8(clamp(np.float64(weight[at]) + change, -127.0, 127.0))
    elif a.format == RESIDUAL:
        residual = array_at(a.companion, a.elements, np.int8)
        fixed = np.float32(np.int32(weight[at]) * 256 + np.int32(residual[at])) - step * np.float32(256)
        value = np.int32(clamp(np.rint(fixed), np.float32(-HALF_TOP - 128), np.float32(HALF_TOP + 127)))
        high, low = _split(value)
        weight[at], residual[at] = np.int8(high), np.int8(low)
    else:
        latent = array_at(a.companion, a.elements, np.float32)
        latent[at] -= step
        weight[at] = np.int8(clamp(np.rint(latent[at]), np.float32(-127), np.float32(127)))


@inner
def _key(seed, counter):  # type: ignore[no-untyped-def]
    return mix(mix(np.uint64(seed)) + GOLDEN * np.uint64(counter + 1))


@compiled
def update_weight(address, rate, momentum, seed, counter):  # type: ignore[no-untyped-def]
    """Apply the gradient block [selected, taps, last] to the weights of the selected input channels.

    Return False, and change nothing, if a channel does not exist.
    """
    a = record_at(address, RECORD)
    if not exist(a.channels, a.selected, a.inputs):
        return False
    key = _key(seed, counter)
    block = a.taps * a.last
    channels = array_at(a.channels, a.selected, np.int32)
    gradient = array_at(a.gradient, a.selected * block, np.float32)
    velocity = array_at(a.velocity, a.elements, np.float32)
    factor = array_at(a.factor, a.factors, np.float32)
    for s in range(a.selected):
        base = channels[s] * a.stride_channel
        own = channels[s] * a.factor_channel
        for tap in range(a.taps):
            for c in range(a.last):
                here = s * block + tap * a.last + c
                element = base + tap * a.stride_tap + c * a.stride_last
                at = here if a.compact else element
                value = gradient[here] * factor[own + c]
                if a.velocity != 0:
                    value = np.float32(momentum) * velocity[at] + value
                    velocity[at] = value
                _step_weight(a, at, element, np.float32(rate) * value, key)
    return True


@compiled
def update_bias(address, rate, momentum, seed, counter):  # type: ignore[no-untyped-def]
    """Apply the gradient of a bias."""
    a = record_at(address, RECORD)
    key = _key(seed, counter)
    gradient = array_at(a.gradient, a.elements, np.float32)
    velocity = array_at(a.velocity, a.elements, np.float32)
    factor = array_at(a.factor, a.elements, np.float32)
    bias = array_at(a.weight, a.elements, np.int32)
    for c in range(a.elements):
        value = gradient[c] * factor[c]
        if a.velocity != 0:
            value = np.float32(momentum) * velocity[c] + value
            velocity[c] = value
        step = np.float32(rate) * value
        if a.format == REAL:
            array_at(a.weight, a.elements, np.float32)[c] -= step
        elif a.format == WIDE:
            moved = np.rint(np.float64(bias[c]) - np.float64(step))
            bias[c] = np.int32(clamp(moved, -2147483648.0, 2147483647.0))
        elif a.format == WIDE_RESIDUAL:
            residual = array_at(a.companion, a.elements, np.int8)
            fixed = np.float64(bias[c]) * 256 + np.float64(residual[c]) - np.float64(step) * 256
            high, low = _split(np.int64(clamp(np.rint(fixed), WIDE_LOW, WIDE_TOP)))
            bias[c], residual[c] = np.int32(high), np.int8(low)
        else:
            moved = np.float64(bias[c]) + np.floor(uniform(key, c) - np.float64(step))
            bias[c] = np.int32(clamp(moved, -2147483648.0, 2147483647.0))


def signed(seed: int) -> int:
    """Return a seed as the int64 with the same bits."""
    return (seed + (1 << 63)) % (1 << 64) - (1 << 63)


class WeightRule(Prepared):
    """Updates the weights of selected input channels of one op; see ``weight_rule``."""

    def __init__(self, op: Op, tensors: Tensors, format: str, compact: bool, seed: int) -> None:
        super().__init__()
        if format not in WEIGHTS:
            raise UnknownName("weight format", format, WEIGHTS)
        weight = tensors[op.inputs[1]]
        self.name, self.seed, self.compact = f"op {op.name!r}", signed(seed), compact
        self.shape, self.dtype = weight.shape, weight.dtype
        self.companion = WEIGHTS[format] if weight.dtype == "int8" else None
        self._factor = qas_weight(op, tensors)
        self._constants = np.zeros(1, RECORD)
        r = self._constants[0]
        if op.kind is OpKind.DEPTHWISE_CONV_2D:
            outputs, taps = weight.shape[3], weight.shape[1] * weight.shape[2]
            r["last"] = r["stride_channel"] = r["factor_channel"] = outputs // tensors[op.inputs[0]].shape[-1]
            r["stride_tap"], r["stride_last"] = outputs, 1
            self.window: tuple[int, ...] = weight.shape[1:3]
        else:
            self.window = weight.shape[1:-1]
            taps = int(np.prod(self.window, dtype=np.int64))
            r["last"], r["stride_channel"] = weight.shape[0], 1
            r["stride_tap"], r["stride_last"] = weight.shape[-1], taps * weight.shape[-1]
        depthwise = op.kind is OpKind.DEPTHWISE_CONV_2D
        r["inputs"] = self.inputs = tensors[op.inputs[0]].shape[-1] if depthwise else weight.shape[-1]
        r["taps"], r["factor"], r["factors"] = taps, address_of(self._factor), self._factor.size
        r["compact"] = compact
        r["format"] = WEIGHT_CODES[format] if self.dtype == "int8" else REAL

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        weight, companion, channels, gradient, velocity = buffers
        record = self._constants.copy()
        r = record[0]
        check(f"channels of {self.name}", channels, "int32")
        block = (channels.size, *self.window, int(r["last"]))
        shape = block if self.compact else self.shape
        arrays = (
            ("weight", weight, self.dtype, shape), ("gradient", gradient, "float32", block),
            ("companion", companion, self.companion, shape), ("velocity", velocity, "float32", shape),
        )  # fmt: skip
        for field, array, dtype, expected in arrays:
            if array is None:
                continue
            check(f"{field} of {self.name}", array, str(dtype))
            check_shape(f"{field} of {self.name}", array, expected)
            r[field] = address_of(array)
        if (companion is None) != (self.companion is None):
            raise BadArgument(f"companion of {self.name}", f"should be {self.companion}")
        r["channels"], r["selected"], r["elements"] = address_of(channels), channels.size, weight.size
        return update_weight, record

    def __call__(
        self, weight: Array, companion: Array | None, channels: NDArray[np.int32],
        gradient: NDArray[np.float32], rate: float, velocity: NDArray[np.float32] | None, momentum: float,
        counter: int,
    ) -> None:  # fmt: skip
        """Apply one step; see the function that makes the rule."""
        run = self.bound(weight, companion, channels, gradient, velocity)
        if not run(float(rate), float(momentum), self.seed, int(counter)):
            raise BadArgument(f"channels of {self.name}", f"are not all in 0..{self.inputs - 1}")


class BiasRule(Prepared):
    """Updates the bias of one op; see ``bias_rule``."""

    def __init__(self, op: Op, tensors: Tensors, format: str, seed: int) -> None:
        super().__init__()
        if format not in BIASES:
            raise UnknownName("bias format", format, BIASES)
        self.name, self.seed = f"op {op.name!r}", signed(seed)
        self._factor = qas_bias(op, tensors)
        self._constants = np.zeros(1, RECORD)
        r = self._constants[0]
        self.dtype = "int32" if tensors[op.inputs[1]].dtype == "int8" else "float32"
        r["factor"], r["elements"] = address_of(self._factor), self._factor.size
        r["format"] = BIAS_CODES[format] if self.dtype == "int32" else REAL
        self.companion = BIASES[format] if self.dtype == "int32" else None

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        record = self._constants.copy()
        fields = ("weight", "companion", "gradient", "velocity")
        dtypes = (self.dtype, "int8", "float32", "float32")
        if (buffers[1] is None) != (self.companion is None):
            raise BadArgument(f"companion of the bias of {self.name}", f"should be {self.companion}")
        for field, array, dtype in zip(fields, buffers, dtypes, strict=True):
            if array is not None:
                check(f"bias {field} of {self.name}", array, dtype)
                check_shape(f"bias {field} of {self.name}", array.reshape(-1), self._factor.shape)
                record[0][field] = address_of(array)
        return update_bias, record

    def call(
        self, bias: Array, companion: NDArray[np.int8] | None, gradient: NDArray[np.float32],
        velocity: NDArray[np.float32] | None,
    ) -> Callable[[float, float, int], Any]:  # fmt: skip
        """Return the rule on these buffers as a call with rate, momentum and counter."""
        run, seed = self.bind(bias, companion, gradient, velocity), self.seed
        return lambda rate, momentum, counter: run(rate, momentum, seed, counter)

    def __call__(
        self, bias: Array, companion: NDArray[np.int8] | None, gradient: NDArray[np.float32], rate: float,
        velocity: NDArray[np.float32] | None, momentum: float, counter: int,
    ) -> None:  # fmt: skip
        """Apply one step; see the function that makes the rule."""
        run = self.bound(bias, companion, gradient, velocity)
        run(float(rate), float(momentum), self.seed, int(counter))


def weight_rule(
    op: Op, tensors: Tensors, format: str, *, compact: bool = False, seed: int = 0
) -> Callable[..., None]:
    """Return ``rule(weight, companion, channels, gradient, rate, velocity, momentum, counter) -> None``.

    Args of the rule:
        weight: int8 (or float32) of the op's weight shape; with ``compact`` the block of selected
            channels: [n, kh, kw, C_out], depthwise [n, kh, kw, multiplier], fully connected [n, out].
        companion: int8 residual or float32 latent of the same shape, where the format has one.
        channels: int32 [n], the selected input channels.
        gradient: float32 block of the selected channels.
        rate: learning rate.
        velocity: float32 of the weight's shape for momentum, or ``None``.
        momentum: its factor.
        counter: the iteration; stochastic rounding draws from (seed, counter, element).

    Raises:
        UnknownName: if ``format`` is not one of ``WEIGHTS``.
        BadArgument: by the rule, if an array does not fit.
    """
    return WeightRule(op, tensors, format, compact, seed)


def bias_rule(op: Op, tensors: Tensors, format: str, *, seed: int = 0) -> BiasRule:
    """Return ``rule(bias, companion, gradient, rate, velocity, momentum, counter) -> None``.

    ``companion`` is the int8 residual of the bias's shape, where the format has one.

    Raises:
        UnknownName: if ``format`` is not one of ``BIASES``.
        BadArgument: by the rule, if an array does not fit.
    """
    return BiasRule(op, tensors, format, seed)
