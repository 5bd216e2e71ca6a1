"""What the step can observe for a scheme: one accumulator a channel, filled by the engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mcusim.core import UnknownName

KINDS = {
    "gradient-norm": "sum over iterations of the L2 norm of the weight gradient of each learning channel",
    "fisher": "sum over iterations of (sum over pixels of feature * its gradient) squared, each channel",
    "observations": "iterations in which the channel was observed",
}
"""The statistics an engine can gather: name -> what each float32 accumulator holds."""


@dataclass(slots=True)
class Statistics:
    """Accumulators by kind and op: float32 arrays with one number an input channel.

    The engine adds to them during a stage; a scheme reads them when the next stage is selected.
    They are part of a checkpoint.
    """

    values: dict[str, dict[str, NDArray[np.float32]]] = field(default_factory=dict)

    @classmethod
    def empty(cls, kinds: Iterable[str], channels: Mapping[str, int]) -> Statistics:
        """Return zeroed accumulators of these kinds for ops with so many input channels.

        Raises:
            UnknownName: if a kind is not known.
        """
        values: dict[str, dict[str, NDArray[np.float32]]] = {}
        for kind in sorted(kinds):
            if kind not in KINDS:
                raise UnknownName("statistic", kind, KINDS)
            values[kind] = {op: np.zeros(count, np.float32) for op, count in channels.items()}
        return cls(values)

    def add(self, kind: str, op: str, channels: NDArray[np.int32], amounts: NDArray[np.float32]) -> None:
        """Add ``amounts`` to the accumulators of ``channels`` of one op."""
        self.values[kind][op][channels] += amounts

    def get(self, kind: str, op: str) -> NDArray[np.float32] | None:
        """Return the accumulators of one op, or ``None`` if they are not gathered."""
        return self.values.get(kind, {}).get(op)

    @property
    def bytes(self) -> int:
        """Bytes of all accumulators on the device."""
        return sum(a.nbytes for ops in self.values.values() for a in ops.values())
