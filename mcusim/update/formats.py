"""Number formats of a training step, by name."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import SlotPart
from mcusim.core.chosen import Chosen
from mcusim.core.setting import setting
from mcusim.kernels.number_formats import BIASES, ERRORS, WEIGHTS, ErrorFormat, ParameterFormat
from mcusim.update.patterns import PATTERNS, Pattern, thinner

HEADS = ("float32", "int8")


@dataclass(frozen=True, slots=True)
class Formats(Chosen):
    """In which formats a step keeps its numbers.

    Raises:
        UnknownName: if a format is not known; suggests the nearest.
    """

    error: str = setting(
        "float32", "format of error tensors", values=lambda: ERRORS, label="error format",
        cheaper=ERRORS.smaller,
    )  # fmt: skip
    """``int16`` and ``int8`` have one power-of-two scale a tensor."""
    weight: str = setting(
        "int8-sr", "format of learning weights", values=lambda: WEIGHTS, label="weight format",
        cheaper=WEIGHTS.smaller,
    )  # fmt: skip
    """How it rounds and what it keeps beside each weight, its class in ``kernels.number_formats`` says:
    ``sr`` rounds by chance, ``res`` keeps a residual, ``float32`` a master weight."""
    bias: str = setting(
        "int32", "format of learning biases", values=lambda: BIASES, label="bias format",
        cheaper=BIASES.smaller,
    )  # fmt: skip
    """As for weights; ``int32`` loses steps below half a unit."""
    head: str = setting(
        "float32", "format of the classifier", values=lambda: HEADS, label="head format", derived=True
    )
    """That of the network; an int8 one learns in the format of ``weight``."""
    feature: str = setting(
        "whole",
        "pixels of saved features to keep",
        values=lambda: PATTERNS,
        label="feature format",
        terse=True,
        cheaper=thinner,
    )
    """Which pixels of a convolution's saved input are kept for its weight gradient; see ``patterns``."""

    @property
    def pattern(self) -> Pattern:
        """Which pixels of saved features are kept."""
        return PATTERNS[self.feature]

    @property
    def errors(self) -> ErrorFormat:
        """How error tensors are stored."""
        return ERRORS[self.error]

    def parameter(self, part: SlotPart, dtype: str) -> ParameterFormat:
        """Return how a weight or bias of type ``dtype`` learns; one of a float network learns as it is."""
        if part is SlotPart.WEIGHT:
            return WEIGHTS.of(self.weight, dtype)
        return BIASES.of(self.bias, dtype)
