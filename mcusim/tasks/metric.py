"""The number that says how well a task is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Metric:
    """What the mean of a task's scores means.

    ``unit`` is ``%`` for a fraction in 0..1, which people read in percent; otherwise what the values are
    measured in, empty for that of the targets.
    """

    name: str
    unit: str = ""
    higher_is_better: bool = True

    @property
    def key(self) -> str:
        """The name as a column: ``train_KEY`` and ``test_KEY``."""
        return self.name.replace(" ", "_")

    def text(self, value: float) -> str:
        """Return a value as people read it."""
        if self.unit == "%":
            return f"{value:.2%}"
        return f"{value:.5g}" + (f" {self.unit}" if self.unit else "")

    def improved(self, before: float, after: float) -> bool:
        """Return True if ``after`` is the better of the two."""
        return after > before if self.higher_is_better else after < before

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"name": self.name, "unit": self.unit, "higher_is_better": self.higher_is_better}
