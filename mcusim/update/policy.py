"""Which channels of a layer learn, given how many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mcusim.core import Registry
from mcusim.graph import Model
from mcusim.update.channels import Layer, channel_norms
from mcusim.update.draw import Draws
from mcusim.update.selection import Channels
from mcusim.update.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice to make: ``count`` channels of ``layer``, for one stage of one seed.

    ``position`` is the layer's place among the eligible layers; it keeps the draws of
    different layers independent.
    """

    model: Model
    layer: Layer
    count: int
    position: int
    stage_index: int
    seed: int
    statistics: Statistics | None = None

    def draws(self) -> Draws:
        """Return the random numbers of this layer in this stage."""
        return Draws(self.seed, self.position, 1 + self.stage_index)


class Policy(Protocol):
    """A rule to choose channels."""

    @property
    def needs(self) -> frozenset[str]:
        """Statistics that must be gathered for it."""
        ...

    def choose(self, choice: Choice) -> Channels:
        """Return ``choice.count`` channels, int32, ascending."""
        ...


POLICIES: Registry[Policy] = Registry("channel policy", "mcusim.policies")
"""Policies by name; other packages add theirs with an entry point in group ``mcusim.policies``."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every set of channels is equally likely, anew in every stage."""

    needs: frozenset[str] = frozenset()

    def choose(self, choice: Choice) -> Channels:
        """Return random channels."""
        return choice.draws().subset(choice.layer.channels, choice.count)


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """Full traversal: the channels in a random order fixed by the seed, stage after stage in a circle.

    After ceil(channels / count) stages every channel has learnt, and none is more than one stage ahead.
    """

    needs: frozenset[str] = frozenset()

    def choose(self, choice: Choice) -> Channels:
        """Return the next channels of the circle."""
        order = Draws(choice.seed, choice.position, 0).permutation(choice.layer.channels)
        start = choice.stage_index * choice.count
        return np.sort(order[np.arange(start, start + choice.count) % choice.layer.channels])


@dataclass(frozen=True, slots=True)
class WeightNorm:
    """The channels whose weights have the largest L2 norm in the model as it was given.

    Source: criterion ``magnitude+`` of tiny-training, on the integer weights as there.
    """

    needs: frozenset[str] = frozenset()

    def choose(self, choice: Choice) -> Channels:
        """Return the channels of largest norm; lower numbers win ties."""
        return top(channel_norms(choice.model, choice.model.op(choice.layer.op)), choice.count)


@dataclass(frozen=True, slots=True)
class GradientNorm:
    """The channels with the largest gradient norm when last observed, those never observed first.

    All channels of a layer cost the same, so their order is also that of the re-weighted norm (RGN)
    of arXiv 2510.19675.
    """

    needs: frozenset[str] = frozenset({"gradient-norm"})

    def choose(self, choice: Choice) -> Channels:
        """Return the channels; before anything was observed, random ones."""
        norms, seen = observed(choice.statistics, "gradient-norm", choice.layer)
        if not seen.any():
            return choice.draws().subset(choice.layer.channels, choice.count)
        return top(np.where(seen, norms, np.inf), choice.count)


@dataclass(frozen=True, slots=True)
class Importance:
    """Channels drawn without replacement with probability by the gradient norm last observed.

    Channels never observed count as the average of those that were. Source: the channel sampling of
    MeDyate, arXiv 2510.20979.
    """

    needs: frozenset[str] = frozenset({"gradient-norm"})

    def choose(self, choice: Choice) -> Channels:
        """Return random channels, the important ones more often."""
        norms, seen = observed(choice.statistics, "gradient-norm", choice.layer)
        if not seen.any():
            return choice.draws().subset(choice.layer.channels, choice.count)
        return np.sort(choice.draws().weighted(np.where(seen, norms, mean(norms[seen])), choice.count))


def mean(values: NDArray[np.float64]) -> float:
    """Return the mean, added from first to last: the same on every machine."""
    return float(np.add.accumulate(values)[-1] / values.size)


def top(scores: NDArray[np.float64], count: int) -> Channels:
    """Return the indices of the ``count`` largest scores, ascending; lower indices win ties."""
    return np.sort(np.argsort(-scores, kind="stable")[:count]).astype(np.int32)


def observed(
    statistics: Statistics | None, kind: str, layer: Layer
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the latest mean of a statistic for each channel, 0 where there is none, and where there is."""
    latest = statistics.get(kind, layer.op) if statistics else None
    if latest is None:
        return np.zeros(layer.channels), np.zeros(layer.channels, bool)
    seen = np.isfinite(latest)
    return np.where(seen, latest, 0.0).astype(np.float64), seen


POLICIES.register("uniform")(Uniform())
POLICIES.register("round-robin")(RoundRobin())
POLICIES.register("weight-norm")(WeightNorm())
POLICIES.register("gradient-norm")(GradientNorm())
POLICIES.register("importance")(Importance())
