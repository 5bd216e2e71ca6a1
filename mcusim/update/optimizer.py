"""Stochastic gradient descent and its adaptive kin, as settings. The arithmetic is in the update kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcusim.core import SlotPart
from mcusim.core.chosen import Chosen
from mcusim.core.setting import setting


@dataclass(frozen=True, slots=True)
class Sgd(Chosen):
    """SGD at batch 1: what the rates are, and what is kept from one step to the next.

    Raises:
        BadArgument: if a number is out of bounds.
    """

    lr: float = setting(0.01, "learning rate", label="learning rate lr", least=0)
    momentum: float = setting(
        0.0, "momentum; costs a float32 a learning number", least=0, below=1,
        cheaper=lambda now: (0.0,) if now else (),
    )  # fmt: skip
    """Above 0, one float32 a learning weight and bias is kept."""
    second_moment: float = setting(
        0.0, "decay of the mean square by whose root steps are divided; costs a float32 a learning number",
        label="second moment", least=0, below=1, example="0.999",
        cheaper=lambda now: (0.0,) if now else (),
    )  # fmt: skip
    """Above 0, RMSprop; with momentum, Adam (arXiv 1412.6980), and the rate is Adam's. In place of the bias
    correction there, which counts the steps that each number took part in, the mean starts as the first
    square that is not 0, and the momentum at 0."""
    weight_rate: float = setting(
        1.0, "multiplies the learning rate for weights", label="learning rate weight_rate", least=0
    )
    bias_rate: float = setting(
        1.0, "multiplies the learning rate for biases", label="learning rate bias_rate", least=0
    )
    head_rate: float = setting(
        1.0, "multiplies the learning rate for the classifier", label="learning rate head_rate", least=0
    )
    accumulate: int = setting(
        1, "steps whose gradients are summed before an update", unit="steps", least=1,
        cheaper=lambda now: (1,) if now > 1 else (),
    )  # fmt: skip
    """Above 1, one float32 a selected weight, learning bias and head parameter is kept."""
    layer_rates: Mapping[str, float] = setting(
        dict, "further factors of single layers", label="learning rate", least=0, example="conv1=0.5"
    )
    """Op name -> a factor for that op's weights and bias."""

    def layer_rate(self, op: str) -> float:
        """Return the further factor of one op."""
        return self.layer_rates.get(op, 1.0)

    def rate(self, op: str, part: SlotPart, *, head: bool) -> float:
        """Return the learning rate of a parameter of one op at schedule factor 1, in double precision.

        A step takes it times the factor, as one product rounded to float32.
        """
        rate = self.lr / self.accumulate
        if self.second_moment:
            # The root of the mean square takes the number of summed gradients out; the velocity of Adam is
            # a mean, that of the kernels a sum.
            rate = self.lr * (1 - self.momentum)
        if head:
            return rate * self.head_rate * 1.0
        return rate * self.layer_rate(op) * (self.weight_rate if part is SlotPart.WEIGHT else self.bias_rate)

    @property
    def optimizer_bytes(self) -> int:
        """Bytes of optimiser state for each learning number (role ``optimizer``)."""
        return 4 * bool(self.momentum) + 4 * bool(self.second_moment)

    @property
    def gradient_bytes(self) -> int:
        """Bytes kept from one iteration to the next for each learning number (role ``gradient``)."""
        return 4 if self.accumulate > 1 else 0
