"""How a number came about. No figure travels without its kind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Provenance(StrEnum):
    """The three kinds of figures."""

    EXACT = "exact"
    """Counted."""
    MODELLED = "modelled"
    """Computed from a stated model whose inputs were not measured on this work."""
    CALIBRATED = "calibrated"
    """Computed from a model fitted to a stated set of measurements."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its unit, kind, source and error band.

    ``mean_error`` and ``worst_error`` are relative errors on rows that were not used for
    fitting (0.08 means 8 %); ``None`` where nothing was left out to test on.
    """

    value: float
    unit: str
    provenance: Provenance
    source: str
    mean_error: float | None = None
    worst_error: float | None = None

    def __str__(self) -> str:
        band = "" if self.mean_error is None else f" ±{self.mean_error:.0%}"
        return f"{self.value:,.4g} {self.unit}{band} ({self.provenance}: {self.source})"

    def as_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "value": self.value, "unit": self.unit, "provenance": str(self.provenance),
            "source": self.source, "mean_error": self.mean_error, "worst_error": self.worst_error,
        }  # fmt: skip
