"""Losses of one example in float32, compiled: called on arrays, or bound to them as a row of a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.kernels.arrays import Array
from mcusim.kernels.compiled import losses
from mcusim.kernels.compiled.prepared import address_of, check
from mcusim.kernels.compiled.rows import Row

Reals = NDArray[np.float32]


@dataclass(frozen=True)
class CompiledLoss:
    """A loss that takes logits, what they are compared with, and where its gradient goes, all flat."""

    kernel: ClassVar[Any]
    targets: ClassVar[tuple[str, ...]]
    """Types that targets may have."""

    def __call__(self, logits: Reals, target: Any, gradient: Reals) -> float:
        """Return the loss; write its gradient."""
        value = np.zeros(1, np.float32)
        self.row(logits, np.atleast_1d(target), gradient, value)()
        return float(value[0])

    def row(
        self, logits: Reals, target: Array, gradient: Reals, value: Reals, chain: Reals | None = None
    ) -> Row:
        """Return what computes the loss of whatever lies in these arrays.

        Args:
            logits: float32 ``[n]``.
            target: the number of the class, int64 ``[1]``, or what the loss takes.
            gradient: float32 ``[n]``, written.
            value: float32 ``[1]``, written: the loss.
            chain: float32 ``[n]``: the gradient is multiplied by it.

        Raises:
            BadArgument: if the arrays do not fit.
        """
        for what, array in (("logits", logits), ("gradient", gradient), ("value", value)):
            check(what, array, "float32")
        if target.dtype.name not in self.targets or not self._fits(logits, target, gradient):
            reason = f"has {target.size} elements ({target.dtype}) and the output {logits.size}"
            raise BadArgument("target", reason)
        smoothing, record = np.zeros(1, np.float32), np.zeros(1, losses.RECORD)
        smoothing[0] = getattr(self, "smoothing", 0.0)
        record[0] = (
            address_of(logits), logits.size, address_of(target), target.itemsize, target.size,
            address_of(gradient), address_of(chain), address_of(value), address_of(smoothing),
        )  # fmt: skip
        refuse = partial(self._refuse, target, logits.size)
        return Row(self.kernel, record, refuse, None, logits, target, gradient, value, chain, smoothing)

    @staticmethod
    def _fits(logits: Reals, target: Array, gradient: Reals) -> bool:
        return bool(logits.size == target.size == gradient.size > 0)

    @staticmethod
    def _refuse(target: Array, logits: int) -> None:
        """Say what is no class."""
        classes = logits // target.size
        wrong = next(int(label) for label in target if not 0 <= label < classes)
        raise BadArgument(f"label {wrong}", f"is not a class: there are {classes}")


@dataclass(frozen=True)
class SoftmaxCrossEntropy(CompiledLoss):
    """The mean over rows of logits of the cross-entropy of their softmax with a class each.

    Of a target, onehot(class), the part ``smoothing``, from 0 to below 1, is spread over all classes alike
    (Szegedy et al. 2016, arXiv 1512.00567, section 7). The gradient is softmax - target, over the rows. The
    classes are one int64, or a uint8 for each row.
    """

    kernel = staticmethod(losses.softmax)
    targets: ClassVar[tuple[str, ...]] = ("int64", "uint8")

    smoothing: float = 0.0

    @staticmethod
    def _fits(logits: Reals, target: Array, gradient: Reals) -> bool:
        return bool(target.size and logits.size == gradient.size >= target.size) and (
            logits.size % target.size == 0
        )


class MeanSquaredError(CompiledLoss):
    """mean((output - target)**2); its gradient is 2 (output - target) / n."""

    kernel = staticmethod(losses.squares)
    targets: ClassVar[tuple[str, ...]] = ("float32",)


class SigmoidCrossEntropy(CompiledLoss):
    """mean(log(1 + exp(z)) - t z) of labels t, zeros and ones; its gradient is (sigmoid(z) - t) / n."""

    kernel = staticmethod(losses.sigmoids)
    targets: ClassVar[tuple[str, ...]] = ("uint8",)


def real_values(x: Array, scale: Reals, zero: int, out: Reals) -> partial[Any] | None:
    """Return a kernel bound to write (x - zero) * scale as float32, or ``None`` for other types.

    Args:
        x: int8, int16 or int32 ``[n]``.
        scale: float32 ``[n]`` or ``[1]``.
        zero: the zero point.
        out: float32 ``[n]``.
    """
    if x.dtype.name not in ("int8", "int16", "int32"):
        return None
    each, record = (
        np.ascontiguousarray(np.broadcast_to(scale, x.shape), np.float32),
        np.zeros(1, losses.REALS),
    )
    record[0] = (address_of(x), x.itemsize, x.size, address_of(each), zero, address_of(out))
    bound = partial(losses.reals, address_of(record))
    bound.keep = (record, x, each, out)  # type: ignore[attr-defined]
    return bound
