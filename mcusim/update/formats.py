"""Number formats of a training step, by name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, fields

from mcusim.core import Part, UnknownName
from mcusim.kernels.number_formats import BIASES, ERRORS, WEIGHTS, ErrorFormat, ParameterFormat
from mcusim.update.patterns import PATTERNS, Pattern

HEADS = ("float32", "int8")


@dataclass(frozen=True, slots=True)
class Formats:
    """In which formats a step keeps its numbers.

    Attributes:
        error: error tensors: ``float32``, or ``int16``, ``int8`` with one power-of-two scale a tensor.
        weight: learning weights: ``int8`` (round to nearest), ``int8-sr`` (stochastic rounding),
            ``int8+res8`` (with an 8-bit residual), ``float32`` (with a float32 master weight).
        bias: learning biases: ``int32`` (round to nearest: steps below half a unit are lost), ``int32-sr``
            (stochastic rounding), ``int32+res8`` (with an 8-bit residual).
        head: the classifier: ``float32`` or ``int8`` (which learns in the format of ``weight``).
        feature: which pixels of a convolution's saved input are kept for its weight gradient: ``whole``,
            ``checker``, ``row-2`` to ``row-4``, ``grid-2`` to ``grid-4``; see ``patterns``.

    Raises:
        UnknownName: if a format is not known; suggests the nearest.
    """

    error: str = "float32"
    weight: str = "int8-sr"
    bias: str = "int32"
    head: str = "float32"
    feature: str = "whole"

    def __post_init__(self) -> None:
        known: dict[str, Collection[str]] = {
            "error": ERRORS,
            "weight": WEIGHTS,
            "bias": BIASES,
            "head": HEADS,
            "feature": PATTERNS,
        }
        for field in fields(self):
            if getattr(self, field.name) not in known[field.name]:
                raise UnknownName(f"{field.name} format", getattr(self, field.name), known[field.name])

    def as_dict(self) -> dict[str, str]:
        """Return plain data; whole features, which every record from before patterns had, go unsaid."""
        data = asdict(self)
        if self.feature == "whole":
            del data["feature"]
        return data

    @property
    def pattern(self) -> Pattern:
        """Which pixels of saved features are kept."""
        return PATTERNS[self.feature]

    @property
    def errors(self) -> ErrorFormat:
        """How error tensors are stored."""
        return ERRORS[self.error]

    def parameter(self, part: Part, dtype: str) -> ParameterFormat:
        """Return how a weight or bias of type ``dtype`` learns; one of a float network learns as it is."""
        if part is Part.WEIGHT:
            return WEIGHTS.of(self.weight, dtype)
        return BIASES.of(self.bias, dtype)
