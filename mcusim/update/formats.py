"""Number formats of a training step, and the bytes they cost on the device."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, fields

from mcusim.core import UnknownName
from mcusim.kernels.formats import BIASES, WEIGHTS
from mcusim.update.patterns import PATTERNS, Pattern

ERRORS = {"float32": 4, "int16": 2, "int8": 1}
"""Formats of error tensors, with bytes an element."""

HEADS = {"float32": 4, "int8": 1}
_BYTES = {None: 0, "int8": 1, "float32": 4}


@dataclass(frozen=True, slots=True)
class Formats:
    """In which formats a step keeps its numbers.

    Attributes:
        error: error tensors: ``float32``, or ``int16``, ``int8`` with one power-of-two scale a tensor.
        weight: learning weights: ``int8`` (round to nearest), ``int8-sr`` (stochastic rounding),
            ``int8+res8`` (with an 8-bit residual), ``float32`` (with a float32 latent).
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
    def error_bytes(self) -> int:
        """Bytes of one element of an error tensor."""
        return ERRORS[self.error]

    @property
    def companion(self) -> str | None:
        """Element type of the residual or latent kept for every learning weight, if there is one."""
        return WEIGHTS[self.weight]

    @property
    def companion_bytes(self) -> int:
        """Bytes kept beside the int8 value of one learning weight."""
        return _BYTES[self.companion]

    @property
    def weight_bytes(self) -> int:
        """Bytes of one learning weight: the int8 value the forward pass reads, and its companion."""
        return 1 + self.companion_bytes

    @property
    def bias_bytes(self) -> int:
        """Bytes of one learning bias: the int32 value the forward pass reads, and its companion."""
        return 4 + _BYTES[self.bias_companion]

    @property
    def bias_companion(self) -> str | None:
        """Element type of the residual kept for every learning bias, if there is one."""
        return BIASES[self.bias]

    @property
    def head_weight_bytes(self) -> int:
        """Bytes of one weight of the classifier; an int8 one learns with a companion like any other."""
        return 4 if self.head == "float32" else self.weight_bytes

    @property
    def stochastic(self) -> bool:
        """True if rounding draws random numbers."""
        return self.weight == "int8-sr" or self.bias == "int32-sr"
