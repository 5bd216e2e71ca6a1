"""Learning-rate schedules: pure functions of the step, so resuming needs no state."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import BadArgument, UnknownName

KINDS = ("cosine", "constant")
_PI = 3.141592653589793


@dataclass(frozen=True, slots=True)
class Schedule:
    """A warm-up, then a constant rate or half a cosine down to ``floor``.

    Attributes:
        steps: steps of the whole training, warm-up included.
        warmup: steps over which the factor rises linearly from ``start`` to 1.
        kind: ``cosine`` or ``constant``.
        floor: factor at the end of the cosine.
        start: factor at step 0 when there is a warm-up.

    Source: cosine annealing, arXiv 1608.03983, one period, with the linear warm-up of arXiv 1706.02677.

    Raises:
        BadArgument: if a number of steps is negative or a factor is not in [0, 1].
        UnknownName: if the kind is not known.
    """

    steps: int
    warmup: int = 0
    kind: str = "cosine"
    floor: float = 0.0
    start: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownName("schedule", self.kind, KINDS)
        if self.steps < 1 or not 0 <= self.warmup <= self.steps:
            raise BadArgument(
                f"schedule of {self.steps} steps with {self.warmup} of warm-up",
                "has no step to train or more warm-up than steps",
                "use steps >= 1 and 0 <= warmup <= steps",
            )
        for name in ("floor", "start"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadArgument(f"schedule {name}={getattr(self, name)}", "is not in [0, 1]", "try 0")

    def factor(self, step: int) -> float:
        """Return what multiplies the learning rate at ``step`` (from 0); after the end, the last value."""
        if step < self.warmup:
            return self.start + (1 - self.start) * step / self.warmup
        if self.kind == "constant":
            return 1.0
        length = max(self.steps - self.warmup, 1)
        turn = min((step - self.warmup) / length, 1.0)
        return self.floor + (1 - self.floor) * 0.5 * (1 + _cos_pi(turn))


def _cos_pi(turn: float) -> float:
    """Return cos(pi * turn) for 0 <= turn <= 1: the Taylor series of the sine about pi / 2.

    Only additions and products, in a fixed order: the same bits on every machine, unlike libm.
    """
    angle = _PI * (0.5 - turn)
    square = angle * angle
    term = total = angle
    for n in range(1, 12):
        term = -term * square / ((2 * n) * (2 * n + 1))
        total += term
    return max(-1.0, min(1.0, total))
