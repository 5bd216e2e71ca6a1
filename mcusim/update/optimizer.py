"""Stochastic gradient descent, as settings. The arithmetic is in the update kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from mcusim.core import BadArgument
from mcusim.core.frozen import FrozenDict


@dataclass(frozen=True, slots=True)
class Sgd:
    """SGD at batch 1.

    Attributes:
        lr: base learning rate, before the schedule.
        momentum: 0 for none; otherwise one float32 a learning weight and bias is kept.
        weight_rate: multiplies ``lr`` for the weights of the trunk.
        bias_rate: multiplies ``lr`` for the biases of the trunk.
        head_rate: multiplies ``lr`` for the classifier.
        accumulate: iterations whose gradients are summed before one update is made; above 1, one
            float32 a selected weight, learning bias and head parameter is kept.
        layer_rates: op name -> a further factor for that op's weights and bias.

    Raises:
        BadArgument: if a rate is negative or not finite, momentum is not in [0, 1), or
            ``accumulate`` is less than 1.
    """

    lr: float = 0.01
    momentum: float = 0.0
    weight_rate: float = 1.0
    bias_rate: float = 1.0
    head_rate: float = 1.0
    accumulate: int = 1
    layer_rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layer_rates", FrozenDict(dict(self.layer_rates)))
        rates = {name: getattr(self, name) for name in ("lr", "weight_rate", "bias_rate", "head_rate")}
        for name, rate in {**rates, **self.layer_rates}.items():
            if not (isfinite(rate) and rate >= 0):
                raise BadArgument(f"learning rate {name}={rate}", "is not a finite number >= 0", "try 0.01")
        if not 0 <= self.momentum < 1:
            raise BadArgument(f"momentum {self.momentum}", "is not in [0, 1)", "use 0 for none")
        if self.accumulate < 1 or self.accumulate != int(self.accumulate):
            raise BadArgument(f"accumulate {self.accumulate}", "is not a whole number >= 1", "use 1 for none")

    def layer_rate(self, op: str) -> float:
        """Return the further factor of one op."""
        return self.layer_rates.get(op, 1.0)

    @property
    def optimizer_bytes(self) -> int:
        """Bytes of optimiser state for each learning number (role ``optimizer``)."""
        return 4 if self.momentum else 0

    @property
    def gradient_bytes(self) -> int:
        """Bytes kept from one iteration to the next for each learning number (role ``gradient``)."""
        return 4 if self.accumulate > 1 else 0
