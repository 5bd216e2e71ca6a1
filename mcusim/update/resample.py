"""What schemes have in common that draw channels from eligible layers under a budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.graph import Model
from mcusim.update.budget import Budget, check_limits, spend
from mcusim.update.channels import Layer
from mcusim.update.eligible import Candidates, candidates
from mcusim.update.quota import quota
from mcusim.update.selection import Channels, Scope, Selection


class ResamplingScheme(Protocol):
    """The parameters that these schemes share."""

    @property
    def elements(self) -> int | None: ...  # noqa: D102
    @property
    def ratio(self) -> float | None: ...  # noqa: D102
    @property
    def stage(self) -> int: ...  # noqa: D102
    @property
    def layers(self) -> str: ...  # noqa: D102
    @property
    def blocks(self) -> int: ...  # noqa: D102
    @property
    def bias_blocks(self) -> int | None: ...  # noqa: D102
    @property
    def even(self) -> bool: ...  # noqa: D102


def check(scheme: ResamplingScheme) -> None:
    """Reject what makes no sense for any model.

    Raises:
        BadArgument: if the stage is less than 1, or as ``check_limits``.
    """
    check_limits(scheme.ratio, scheme.elements)
    if scheme.stage < 1:
        raise BadArgument(f"stage {scheme.stage}", "is less than 1", "use at least 1")


@dataclass(frozen=True, slots=True)
class Resampled:
    """The eligible layers of one model, and the budget to spend there.

    Attributes:
        where: layers, biases and head.
        budget: what may be spent.
        even_counts: op name -> fixed number of channels, where these are fixed.
    """

    where: Candidates
    budget: Budget
    even_counts: dict[str, int] | None

    @classmethod
    def of(cls, scheme: ResamplingScheme, model: Model) -> Resampled:
        """Return the eligible layers and the budget of a scheme for a model.

        Raises:
            BadArgument: if the parameters make no sense for the model.
            UnknownName: if they name layers it does not have.
        """
        where = candidates(model, scheme.blocks, scheme.layers, scheme.bias_blocks)
        budget = Budget.of(model, ratio=scheme.ratio, elements=scheme.elements)
        return cls(where, budget, quota(where.layers, budget) if scheme.even else None)

    @property
    def eligible(self) -> tuple[Layer, ...]:
        """The layers whose channels are drawn."""
        return self.where.layers

    def scope(self) -> Scope:
        """Return the most that can be drawn."""
        fixed = self.even_counts is not None
        counts = self.even_counts or {item.op: self.budget.most(item) for item in self.eligible}
        learning = {op: count for op, count in counts.items() if count}
        return Scope(
            learning,
            tuple(learning),
            self.where.biases,
            self.where.head,
            fixed=fixed,
            limits=self.budget.shared_by(self.eligible),
        )

    def even(self, choose: Callable[[Layer, int], Channels]) -> Selection:
        """Return a selection with the fixed number of channels of each layer."""
        counts = self.even_counts or {}
        channels = {item.op: choose(item, counts[item.op]) for item in self.eligible if counts[item.op]}
        return Selection(channels, self.where.biases, self.where.head)

    def spent(self, order: NDArray[np.int32]) -> Selection:
        """Return a selection bought in this order of (place among the eligible, channel), shape (n, 2)."""
        pairs = zip(order[:, 0].tolist(), order[:, 1].tolist(), strict=True)
        return Selection(spend(self.eligible, self.budget, pairs), self.where.biases, self.where.head)


def sites(eligible: Sequence[Layer]) -> NDArray[np.int32]:
    """Return (place among the eligible, channel) of every eligible channel, int32, shape (n, 2)."""
    return np.concatenate(
        [
            np.stack(
                [np.full(item.channels, place, np.int32), np.arange(item.channels, dtype=np.int32)], axis=1
            )
            for place, item in enumerate(eligible)
        ]
    )
