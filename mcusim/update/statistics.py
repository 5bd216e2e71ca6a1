"""What the step observes for a scheme, gathered by the engine during a stage, read when the next begins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, UnknownName

KINDS = {
    "gradient-norm": "L2 norm of the loss gradient with respect to the real weights of each input channel",
    "fisher": "(sum over the weights of an input channel of weight * gradient) squared",
    "error-norm": "L1 norm of the error at the op's output: one number an op",
}
"""What can be gathered, each the amount of one iteration: name -> meaning.

The real weights are s_W * W, so their gradient is that of the integer weights divided by s_W. For
``fisher`` the scale cancels; a convolution is linear in features and in weights alike, so the sum equals
that over pixels of feature * error, which arXiv 2307.09988 (TinyTrain) squares.
"""

Values = dict[str, dict[str, NDArray[np.float32]]]


@dataclass(slots=True)
class Statistics:
    """Numbers by kind and op, one for each input channel (``error-norm``: one for the op).

    During a stage the engine calls ``add`` for what it computed anyway; at its end ``close_stage``.
    All arrays are float32 and part of a checkpoint (``arrays``, ``restore``).

    Attributes:
        sums: sums over the iterations of the stage in progress.
        counts: how many were summed.
        latest: mean of the last stage in which the channel was observed; NaN if it never was.
        peaks: the largest of these means so far; NaN if there is none.
    """

    sums: Values = field(default_factory=dict)
    counts: Values = field(default_factory=dict)
    latest: Values = field(default_factory=dict)
    peaks: Values = field(default_factory=dict)

    @classmethod
    def empty(cls, kinds: Iterable[str], channels: Mapping[str, int]) -> Statistics:
        """Return what has observed nothing yet, of ops with so many input channels each.

        Raises:
            UnknownName: if a kind is not known.
        """
        result = cls()
        for kind in sorted(kinds):
            if kind not in KINDS:
                raise UnknownName("statistic", kind, KINDS)
            sizes = {op: 1 if kind == "error-norm" else count for op, count in channels.items()}
            for values, start in result._tables():
                values[kind] = {op: np.full(size, start, np.float32) for op, size in sizes.items()}
        return result

    def add(
        self, kind: str, op: str, amounts: NDArray[np.float32], channels: NDArray[np.int32] | None = None
    ) -> None:
        """Add the amounts of one iteration, for some channels of an op or for all."""
        where = slice(None) if channels is None else channels
        self.sums[kind][op][where] += amounts
        self.counts[kind][op][where] += 1

    def close_stage(self) -> None:
        """Turn the sums into means, and start anew."""
        for kind, ops in self.sums.items():
            for op, total in ops.items():
                count = self.counts[kind][op]
                seen = count > 0
                latest, peak = self.latest[kind][op], self.peaks[kind][op]
                latest[seen] = total[seen] / count[seen]
                peak[seen] = np.fmax(peak[seen], latest[seen])
                total[:] = 0
                count[:] = 0

    def get(self, kind: str, op: str) -> NDArray[np.float32] | None:
        """Return the latest means of an op, NaN where there is none, or ``None`` if not gathered."""
        return self.latest.get(kind, {}).get(op)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return everything as named arrays, for a checkpoint."""
        names = ("sums", "counts", "latest", "peaks")
        return {
            f"{name}/{kind}/{op}": array
            for name, (values, _) in zip(names, self._tables(), strict=True)
            for kind, ops in values.items()
            for op, array in ops.items()
        }

    def restore(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Take over the arrays of a checkpoint.

        Raises:
            BadArgument: if they are not those of the same kinds and ops.
        """
        own = self.arrays()
        if {n: a.shape for n, a in own.items()} != {n: a.shape for n, a in arrays.items()}:
            raise BadArgument("saved statistics", "are of another model or scheme", "start without them")
        for name, array in arrays.items():
            own[name][:] = array

    def _tables(self) -> tuple[tuple[Values, float], ...]:
        return (self.sums, 0.0), (self.counts, 0.0), (self.latest, np.nan), (self.peaks, np.nan)
