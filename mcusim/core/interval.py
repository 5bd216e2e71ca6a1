"""Half-open intervals: the only kind of range in this project."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """The integers ``start <= i < end``: a lifetime in op indices, or a run of bytes."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"interval ends at {self.end} before it starts at {self.start}")

    def __len__(self) -> int:
        return self.end - self.start

    def __contains__(self, point: int) -> bool:
        return self.start <= point < self.end

    def overlaps(self, other: Interval) -> bool:
        """True if the two share at least one integer."""
        return self.start < other.end and other.start < self.end
