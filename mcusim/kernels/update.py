"""SGD on learned parameters, in place, in the formats they are kept in.

What a step does in each format, ``number_formats`` says. step = rate * v with v = gradient * QAS factor, or
with momentum v <- momentum * v + gradient * QAS factor. With a second moment v is divided by sqrt(s) + 1e-8,
where s <- decay * s + (1 - decay) * gradient² * QAS factor is the mean square of the gradient with respect to
the real number, and starts as the first square that is not 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, SlotPart
from mcusim.graph import Op
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.columns import groups, strides
from mcusim.kernels.compiled.prepared import Prepared, address_of, check, check_shape
from mcusim.kernels.compiled.rules.loops import RECORD
from mcusim.kernels.number_formats import BIASES, WEIGHTS, Extra
from mcusim.kernels.qas import qas_bias, qas_weight


def signed(seed: int) -> int:
    """Return a seed as the int64 with the same bits."""
    return (seed + (1 << 63)) % (1 << 64) - (1 << 63)


def draw_seed(seed: int, index: int, part: SlotPart) -> int:
    """Return the seed with which the parameter of op number ``index`` draws; ``seed`` is the session's."""
    return seed * 65_536 + 2 * index + (part is SlotPart.BIAS)


def decays(second_moment: float) -> NDArray[np.float32]:
    """Return what the mean square is multiplied by, and what a new square is."""
    return np.array([second_moment, 1 - second_moment], np.float32)


def _dtype(extra: Extra | None) -> str:
    return "" if extra is None else extra.dtype


def _check_extra(name: str, array: Array | None, extra: Extra | None) -> None:
    """Raise ``BadArgument`` unless there is an array exactly where the format keeps something."""
    if (array is None) is not (extra is None):
        found = "is missing" if array is None else "is none of this format"
        raise BadArgument(f"extra of the {name}", found, f"give {_dtype(extra) or None}")


class WeightRule(Prepared):
    """Updates the weights of selected input channels of one op; see ``weight_rule``."""

    def __init__(
        self, op: Op, tensors: Tensors, format: str, compact: bool, seed: int, second_moment: float
    ) -> None:
        super().__init__()
        self._decay = decays(second_moment)
        weight = tensors[op.inputs[1]]
        self.name, self.seed, self.compact = f"op {op.name!r}", signed(seed), compact
        self.shape, self.dtype = weight.shape, weight.dtype
        own = WEIGHTS.of(format, weight.dtype)
        self.extra, self._rule = own.extra, own.compiled()
        self._factor = qas_weight(op, tensors)
        self._constants = np.zeros(1, RECORD)
        r = self._constants[0]
        self.window = weight.shape[1:-1]
        found = strides(op, tensors)
        self.inputs = groups(op, tensors) * found.depth
        r["inputs"], r["depth"] = self.inputs, found.depth
        r["last"] = r["factor_group"] = found.outputs
        r["stride_group"], r["stride_channel"] = found.group, found.channel
        r["stride_tap"], r["stride_last"] = found.tap, found.output
        r["taps"], r["factor"], r["factors"] = found.taps, address_of(self._factor), self._factor.size
        r["compact"], r["decay"] = compact, address_of(self._decay)

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        weight, extra, channels, gradient, velocity, square = buffers
        record = self._constants.copy()
        r = record[0]
        check(f"channels of {self.name}", channels, "int32")
        block = (channels.size, *self.window, int(r["last"]))
        shape = block if self.compact else self.shape
        arrays = (
            ("value", weight, self.dtype, shape), ("gradient", gradient, "float32", block),
            ("extra", extra, _dtype(self.extra), shape), ("velocity", velocity, "float32", shape),
            ("square", square, "float32", shape),
        )  # fmt: skip
        _check_extra(f"weight of {self.name}", extra, self.extra)
        for field, array, dtype, expected in arrays:
            if array is None:
                continue
            check(f"weight {field} of {self.name}", array, dtype)
            check_shape(f"weight {field} of {self.name}", array, expected)
            r[field] = address_of(array)
        r["channels"], r["selected"], r["elements"] = address_of(channels), channels.size, weight.size
        return self._rule, record

    def __call__(
        self, weight: Array, extra: Array | None, channels: NDArray[np.int32],
        gradient: NDArray[np.float32], rate: float, velocity: NDArray[np.float32] | None, momentum: float,
        counter: int, square: NDArray[np.float32] | None = None,
    ) -> None:  # fmt: skip
        """Apply one step; see the function that makes the rule."""
        run = self.bound(weight, extra, channels, gradient, velocity, square)
        if not run(float(rate), float(momentum), self.seed, int(counter)):
            raise BadArgument(f"channels of {self.name}", f"are not all in 0..{self.inputs - 1}")


class BiasRule(Prepared):
    """Updates the bias of one op; see ``bias_rule``."""

    def __init__(self, op: Op, tensors: Tensors, format: str, seed: int, second_moment: float) -> None:
        super().__init__()
        self._decay = decays(second_moment)
        self.name, self.seed = f"op {op.name!r}", signed(seed)
        self._factor = qas_bias(op, tensors)
        self._constants = np.zeros(1, RECORD)
        r = self._constants[0]
        self.dtype = "int32" if tensors[op.inputs[1]].dtype == "int8" else "float32"
        r["factor"], r["elements"] = address_of(self._factor), self._factor.size
        r["decay"] = address_of(self._decay)
        own = BIASES.of(format, self.dtype)
        self.extra, self._rule = own.extra, own.compiled()

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        record = self._constants.copy()
        fields = ("value", "extra", "gradient", "velocity", "square")
        dtypes = (self.dtype, _dtype(self.extra), "float32", "float32", "float32")
        _check_extra(f"bias of {self.name}", buffers[1], self.extra)
        for field, array, dtype in zip(fields, buffers, dtypes, strict=True):
            if array is not None:
                check(f"bias {field} of {self.name}", array, dtype)
                check_shape(f"bias {field} of {self.name}", array.reshape(-1), self._factor.shape)
                record[0][field] = address_of(array)
        return self._rule, record

    def call(
        self, bias: Array, extra: Array | None, gradient: NDArray[np.float32],
        velocity: NDArray[np.float32] | None, square: NDArray[np.float32] | None,
    ) -> Callable[[float, float, int], Any]:  # fmt: skip
        """Return the rule on these buffers as a call with rate, momentum and counter."""
        run, seed = self.bind(bias, extra, gradient, velocity, square), self.seed
        return lambda rate, momentum, counter: run(rate, momentum, seed, counter)

    def __call__(
        self, bias: Array, extra: Array | None, gradient: NDArray[np.float32], rate: float,
        velocity: NDArray[np.float32] | None, momentum: float, counter: int,
        square: NDArray[np.float32] | None = None,
    ) -> None:  # fmt: skip
        """Apply one step; see the function that makes the rule."""
        run = self.bound(bias, extra, gradient, velocity, square)
        run(float(rate), float(momentum), self.seed, int(counter))


def weight_rule(
    op: Op, tensors: Tensors, format: str, *, compact: bool = False, seed: int = 0, second_moment: float = 0.0
) -> WeightRule:
    """Return ``rule(weight, extra, channels, gradient, rate, velocity, momentum, counter, square) -> None``.

    Args of the rule:
        weight: int8 (or float32) of the op's weight shape; with ``compact`` the block of selected
            channels: [n, kh, kw, outputs that a channel meets], fully connected [n, out].
        extra: int8 residual or float32 master weight of the same shape, where the format has one.
        channels: int32 [n], the selected input channels.
        gradient: float32 block of the selected channels.
        rate: learning rate.
        velocity: float32 of the weight's shape for momentum, or ``None``.
        momentum: its factor.
        counter: the iteration; stochastic rounding draws from (seed, counter, element).
        square: float32 of the weight's shape for a second moment, which decays by ``second_moment``.

    Raises:
        UnknownName: if ``format`` is not one of ``WEIGHTS``.
        BadArgument: by the rule, if an array does not fit.
    """
    return WeightRule(op, tensors, format, compact, seed, second_moment)


def bias_rule(
    op: Op, tensors: Tensors, format: str, *, seed: int = 0, second_moment: float = 0.0
) -> BiasRule:
    """Return ``rule(bias, extra, gradient, rate, velocity, momentum, counter, square) -> None``.

    ``extra`` is the int8 residual of the bias's shape, where the format has one.

    Raises:
        UnknownName: if ``format`` is not one of ``BIASES``.
        BadArgument: by the rule, if an array does not fit.
    """
    return BiasRule(op, tensors, format, seed, second_moment)
