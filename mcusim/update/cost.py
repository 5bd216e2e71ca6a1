"""What choosing costs on the device: memory that is kept, and work that is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mcusim.core import Role, Work

INDEX_BYTES = 2
"""Bytes of one channel number on the device: no layer here has more than 65,536 channels."""

DRAW_OPS = 10
"""Integer operations of one random draw: three shifts and exclusive-ors of xorshift32 (Marsaglia 2003),
a multiplication and shift to bring it into range, and the swap of a partial Fisher-Yates shuffle."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Memory and work that a scheme adds to training.

    Attributes:
        sram: role -> bytes of SRAM held during the whole training.
        step: work added to every iteration (gathering statistics).
        stage: work done once at the start of every stage (scoring and drawing).
    """

    sram: Mapping[Role, int] = field(default_factory=dict)
    step: Work = field(default_factory=lambda: Work("select"))
    stage: Work = field(default_factory=lambda: Work("select"))

    def __post_init__(self) -> None:
        object.__setattr__(self, "sram", MappingProxyType(dict(self.sram)))

    @property
    def bytes(self) -> int:
        """All bytes of SRAM."""
        return sum(self.sram.values())


def selection_cost(
    *, selected: int, pooled: int, gradient_elements: int = 0, statistics: Collection[str] = ()
) -> Cost:
    """Return the cost of drawing ``selected`` of ``pooled`` channels in each stage.

    The numbers of the selected channels and, while they are shuffled, of all in the pool are kept.
    Each statistic is one float32 for each channel of the pool. Gathering gradient norms squares and
    adds every one of the ``gradient_elements`` computed in an iteration; scoring divides once for
    each channel and sums the scores.
    """
    kept = INDEX_BYTES * pooled + 4 * pooled * len(statistics)
    step = (
        Work("select", float_macs=gradient_elements, float_ops=2 * selected) if statistics else Work("select")
    )
    scoring = 2 * pooled if statistics else 0
    return Cost(
        {Role.OPTIMIZER: kept} if kept else {},
        step,
        Work("select", int_ops=DRAW_OPS * selected, float_ops=scoring),
    )
