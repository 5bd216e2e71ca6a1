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

    ``low`` and ``high`` are the ends of the band in the figure's own unit: of modelled and calibrated
    times the 90 % interval, of energies also the spread between laboratories; ``None`` where no band
    is known.
    """

    value: float
    unit: str
    provenance: Provenance
    source: str
    low: float | None = None
    high: float | None = None

    @property
    def band(self) -> str:
        """The band in percent of the value, with a space before it; empty where there is none."""
        if self.low is None or self.high is None or not self.value:
            return ""
        below, above = round(100 * (1 - self.low / self.value)), round(100 * (self.high / self.value - 1))
        return f" ±{above}%" if above - below in (0, 1, 2) else f" -{below}% +{above}%"

    def scaled(self, factor: float, unit: str) -> Figure:
        """Return the figure and its band times ``factor``, in another unit."""
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Figure(self.value * factor, unit, self.provenance, self.source, low, high)

    def __str__(self) -> str:
        return f"{self.value:,.4g} {self.unit}{self.band} ({self.provenance}: {self.source})"

    def as_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "value": self.value, "unit": self.unit, "provenance": str(self.provenance),
            "source": self.source, "low": self.low, "high": self.high,
        }  # fmt: skip
