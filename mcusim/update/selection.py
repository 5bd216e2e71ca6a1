"""What learns in one stage, and the most that can ever learn at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import lt

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.core.frozen import FrozenDict
from mcusim.core.wording import choice
from mcusim.graph import Model
from mcusim.graph.outputs import heads
from mcusim.update.channels import layers, require

Channels = NDArray[np.int32]
FEW = 32


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What learns during one stage.

    Attributes:
        channels: op name -> its learning input channels, int32, ascending, without repetition;
            only layers with at least one, in execution order.
        biases: names of the ops whose bias learns, in execution order.
        head: True if the classifier learns, weights and bias.
    """

    channels: Mapping[str, Channels]
    biases: tuple[str, ...] = ()
    head: bool = True

    def __post_init__(self) -> None:
        frozen: dict[str, Channels] = {}
        for name, chosen in self.channels.items():
            array = np.array(chosen, np.int32)
            if array.ndim != 1 or not _ascend(array):
                raise BadArgument(
                    f"channels of {name}", "are not a list of ascending numbers", "sort them, each only once"
                )
            array.flags.writeable = False
            if array.size:
                frozen[name] = array
        object.__setattr__(self, "channels", FrozenDict(frozen))
        object.__setattr__(self, "biases", tuple(self.biases))

    @classmethod
    def drawn(cls, channels: dict[str, Channels], biases: tuple[str, ...], head: bool) -> Selection:
        """Return a selection without a look at it, for one in every step.

        The channels are nobody else's, and as they have to be; the biases are a tuple.
        """
        made = object.__new__(cls)
        for chosen in channels.values():
            chosen.flags.writeable = False
        object.__setattr__(made, "channels", FrozenDict(channels))
        object.__setattr__(made, "biases", biases)
        object.__setattr__(made, "head", head)
        return made

    def weights_updated(self, model: Model) -> int:
        """Return how many weights learn, the head excluded."""
        known = layers(model)
        return sum(len(chosen) * known[name].channel_weights for name, chosen in self.channels.items())

    def validate(self, model: Model) -> None:
        """Check the selection against the network it is for.

        Raises:
            UnknownName: if it names a layer the model does not have.
            BadArgument: if a channel does not exist, a bias is missing, or there is no head to train.
        """
        for name, chosen in self.channels.items():
            count = require(model, name).channels
            if chosen[0] < 0 or chosen[-1] >= count:
                wrong = chosen[0] if chosen[0] < 0 else chosen[-1]
                raise BadArgument(
                    f"channel {wrong} of {name}", "does not exist", f"choose from 0 to {count - 1}"
                )
        for name in self.biases:
            require(model, name)
            if model.op(name).bias is None:
                raise BadArgument(f"bias of {name}", "does not exist", "leave this op out of the biases")
        _check_head(self.head, model)

    def same_as(self, other: Selection) -> bool:
        """True if both select the same channels, biases and head."""
        return (
            self.head == other.head
            and self.biases == other.biases
            and list(self.channels) == list(other.channels)
            and all(np.array_equal(a, other.channels[name]) for name, a in self.channels.items())
        )


def _ascend(channels: Channels) -> bool:
    """True if each is larger than the one before; a list is faster for as few as most layers have."""
    if channels.size > FEW:
        return bool((channels[1:] > channels[:-1]).all())
    numbers = channels.tolist()
    return all(map(lt, numbers, numbers[1:]))


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget that the layers of a selection share.

    Attributes:
        what: what is counted, ``weights`` or ``elements`` (weights and saved activations).
        most: how many of them one selection may take.
        cost: op name -> how many one channel takes, for every eligible layer.
    """

    what: str
    most: int
    cost: Mapping[str, int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "cost", FrozenDict(dict(self.cost)))


@dataclass(frozen=True, slots=True)
class Scope:
    """The most that a scheme selects, over all stages: what the memory plan must hold.

    Attributes:
        channels: op name -> most channels selected at once, in execution order.
        eligible: ops any of whose weights may ever be selected, in execution order.
        biases: ops whose bias learns in any stage, in execution order.
        head: True if the classifier learns.
        fixed: True if every selection has exactly these numbers of channels, so that one memory plan
            serves every stage. If not, no layer ever has more, but together they may have far less:
            planning each stage anew then needs less memory than planning for the scope.
        limits: what the layers share, where that is less than all of them at their most.
        perturbation: units by which integer weights are moved to see what that does to the loss, in place of
            gradients of them and of biases; 0 where gradients are computed backwards. See ``Zeroth``.
    """

    channels: Mapping[str, int]
    eligible: tuple[str, ...]
    biases: tuple[str, ...] = ()
    head: bool = True
    fixed: bool = True
    limits: tuple[Limit, ...] = ()
    perturbation: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", FrozenDict(dict(self.channels)))

    def with_channels(self, channels: Mapping[str, int]) -> Scope:
        """Return the scope of selections with other numbers of channels, in any of the eligible layers."""
        return replace(self, channels=channels, fixed=False, limits=())

    @classmethod
    def of(cls, selection: Selection) -> Scope:
        """Return the scope of a scheme that always selects the same."""
        channels = {name: len(chosen) for name, chosen in selection.channels.items()}
        return cls(channels, tuple(channels), selection.biases, selection.head)

    def validate(self, model: Model) -> None:
        """Check the scope against the network it is for.

        Raises:
            UnknownName: if it names a layer the model does not have.
            BadArgument: if there is no head to train.
        """
        for name in (*self.eligible, *self.biases):
            require(model, name)
        _check_head(self.head, model)

    @property
    def learns(self) -> bool:
        """True if anything may ever learn; else a step is inference alone."""
        return bool(self.eligible or self.biases or self.head)

    def contains(self, selection: Selection) -> bool:
        """True if the selection stays inside this scope."""
        counts = {name: len(chosen) for name, chosen in selection.channels.items()}
        return (
            all(count <= self.channels.get(name, 0) for name, count in counts.items())
            and (not self.fixed or counts == {n: c for n, c in self.channels.items() if c})
            and set(counts) <= set(self.eligible)
            and set(selection.biases) <= set(self.biases)
            and (self.head or not selection.head)
        )

    def weights_updated(self, model: Model) -> int:
        """Return the most weights that learn in one iteration, the head excluded."""
        known = layers(model)
        weights = sum(count * known[name].channel_weights for name, count in self.channels.items())
        # An element is a weight or an activation, so that no limit lets more weights learn than it counts.
        return min([weights, *(limit.most for limit in self.limits)])


def _check_head(head: bool, model: Model) -> None:
    if head and not heads(model):
        way_out = f"load it with {choice('classes')}, or choose what else learns"
        raise BadArgument(
            f"model {model.name}", "has no head to train", f"{way_out}; update none plans inference alone"
        )
