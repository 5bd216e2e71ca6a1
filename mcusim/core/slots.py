"""Names of what a step keeps beside the activations of a network."""

from __future__ import annotations

from enum import StrEnum


class SlotPart(StrEnum):
    """The two parameters of an op that can learn."""

    WEIGHT = "weight"
    BIAS = "bias"


class Kind(StrEnum):
    """What a slot holds. Those down to ``GRADIENT`` belong to one part of an op."""

    VALUE = "value"
    """The parameter itself, as the forward pass reads it."""
    RESIDUAL = "residual"
    """What rounding left of each value of an integer parameter."""
    MASTER = "master"
    """The float32 master from which each value of an integer parameter is rounded."""
    MOMENTUM = "momentum"
    SQUARE = "square"
    """The running mean of the squares of a parameter's gradients."""
    GRADIENT = "gradient"
    """The sum of a parameter's gradients, where several are accumulated before an update."""
    CHANNELS = "channels"
    """Which input channels of an op's weight learn in this stage."""
    SAVED = "saved"
    """Channels and pixels of an op's input, saved for its weight gradient."""
    MASK = "mask"
    """One bit an output element of an op: was it inside the clamp."""
    ERROR = "grad"
    """The gradient with respect to an activation."""
    TARGET = "target"
    """What an output is compared with: labels, real numbers, a mask."""
    SELECTION = "selection"
    """What a scheme remembers to choose by."""
    SCRATCH = "scratch"
    """What an op of the step needs beside its inputs and outputs while it runs."""
    QUANT = "quant"
    """Scales, multipliers and shifts of an op."""


PARAMETER_KINDS = (Kind.VALUE, Kind.RESIDUAL, Kind.MASTER, Kind.MOMENTUM, Kind.SQUARE, Kind.GRADIENT)
"""Kinds of slots that belong to one part of an op."""


class Slot(str):
    """The name of a tensor that a step adds to those of the network.

    It is a text, so that traces, placement problems and checkpoints take it as it is, and it knows what it
    is made of, so that nobody has to take the text apart.

    Args:
        of: the op it belongs to; of an ``ERROR`` the activation, of a ``TARGET`` the output, of a
            ``SELECTION`` the role, of a ``SCRATCH`` the op of the step.
        kind: what it holds.
        part: weight or bias; only for the kinds that belong to one.
    """

    __slots__ = ("kind", "of", "part")
    of: str
    kind: Kind
    part: SlotPart | None

    def __new__(cls, of: str, kind: Kind, part: SlotPart | None = None) -> Slot:
        """Make the name, and the text of it."""
        assert (part is None) is (kind not in PARAMETER_KINDS), f"{kind} of part {part}"
        words = (kind, part, of) if kind is not Kind.VALUE else (part, of)
        slot = super().__new__(cls, ":".join(word for word in words if word is not None))
        slot.of, slot.kind, slot.part = of, kind, part
        return slot

    def __reduce__(self) -> tuple[type[Slot], tuple[str, Kind, SlotPart | None]]:
        """Pickle and copy what it is made of."""
        return Slot, (self.of, self.kind, self.part)


def is_kind(name: str, *kinds: Kind) -> bool:
    """True if a name is that of a slot of one of these kinds."""
    return isinstance(name, Slot) and name.kind in kinds
