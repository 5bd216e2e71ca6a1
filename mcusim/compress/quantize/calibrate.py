"""What the activations of a float network look like on calibration data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mcusim.compress.quantize.forward import Array, fields, groups, run
from mcusim.core import BadData
from mcusim.core.counted import counted
from mcusim.graph import Model

SAMPLE = 2**18
"""Values kept of each tensor, spread evenly over its positions and the examples."""


@dataclass(slots=True, eq=False)
class ObservedRange:
    """Of one tensor: exact extremes, and a sample of its values."""

    low: float = np.inf
    high: float = -np.inf
    count: int = 0
    parts: list[Array] = field(default_factory=list)

    @property
    def sample(self) -> Array:
        """Up to about 2**18 values."""
        return np.concatenate(self.parts)

    def add(self, values: Array, sample: int) -> None:
        """Take in the values of some examples, keeping about ``sample`` values of each."""
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        each = values[0].size
        # An odd stride visits all channels: a power of two would keep meeting the same ones.
        stride = max(1, each // sample) | 1
        for row, flat in enumerate(values.reshape(len(values), -1)):
            self.parts.append(flat[(self.count + row) % min(stride, each) :: stride].copy())
        self.count += len(values)


def calibrate(model: Model, inputs: Array) -> dict[str, ObservedRange]:
    """Run ``inputs`` ``[N, ...]`` through a float network and return the statistics of all activations.

    Raises:
        BadData: if there are no examples, or they have another shape or no finite values.
    """
    for name, given in fields(model, inputs).items():
        want = model.tensors[name].shape[1:]
        if not len(given) or given.shape[1:] != want:
            raise BadData(
                f"calibration data of shape {given.shape}", f"is not [N, {', '.join(map(str, want))}]"
            )
        if not np.isfinite(given).all():
            raise BadData("calibration data", "holds values that are no finite numbers")
    sample = max(1, SAMPLE // len(inputs))
    found: dict[str, ObservedRange] = {}

    def visit(name: str, values: Array) -> None:
        found.setdefault(name, ObservedRange()).add(values, sample)

    for group in counted(list(groups(model, inputs))):
        run(model, group, visit)
    return found
