"""The kinds of sections: plain data, without a width, a colour or a tag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mcusim.core.provenance import Figure

Cell = str | int | float | Figure | None
"""What a table holds: ``None`` is what is not known."""

UNKNOWN = "–"


@dataclass(frozen=True, slots=True)
class Headline:
    """What this is about and how it ended; ``good`` is ``None`` where nothing was hoped for."""

    title: str
    verdict: str = ""
    good: bool | None = None

    def __str__(self) -> str:
        return f"{self.title}: {self.verdict}" if self.title and self.verdict else self.title or self.verdict


@dataclass(frozen=True, slots=True)
class Facts:
    """Pairs of a label and a text."""

    rows: Sequence[tuple[str, str]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a sum; ``items`` name the largest things that it is made of."""

    name: str
    bytes: int
    items: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True, slots=True)
class Shares:
    """Bytes that add up to ``total`` under the name ``whole``."""

    title: str
    parts: Sequence[Part]
    whole: str

    @classmethod
    def of(cls, title: str, sizes: Iterable[tuple[str, int]], whole: str) -> Shares:
        """Return the shares of names with bytes; those without any are left out."""
        return cls(title, tuple(Part(str(name), size) for name, size in sizes if size), whole)

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(part.bytes for part in self.parts)

    def share(self, size: int) -> float:
        """Return the part of the total that so many bytes are."""
        return size / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: what it holds.
        unit: of its numbers; shown with the name.
        kind: to the left ``text`` (may wrap) and ``name`` (may not); to the right, in one piece, ``number``,
            ``share`` (a fraction, shown in percent), ``change`` (with its sign).
        priority: 0 is always shown; where there is no room, the largest is left out first.
        digits: after the point, of shares.
    """

    name: str
    unit: str = ""
    kind: Literal["text", "name", "number", "share", "change"] = "text"
    priority: int = 0
    digits: int = 1

    @property
    def left(self) -> bool:
        """True if its cells begin at the same place, False if they end there."""
        return self.kind in ("text", "name")

    @property
    def head(self) -> str:
        """Name and unit."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    def text(self, value: Cell) -> str:
        """Return a value as people read it."""
        match value:
            case None:
                return UNKNOWN
            case bool():
                return "yes" if value else "no"
            case str():
                return value
            case int() if self.kind != "share":
                return f"{value:+,}" if self.kind == "change" else f"{value:,}"
            case Figure():
                return digits(value.value) + value.band
        sign = "+" if self.kind == "change" else ""
        return f"{value:{sign}.{self.digits}%}" if self.kind in ("share", "change") else digits(value)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under columns; ``last`` is a row below the line, such as a sum."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    last: Sequence[Cell] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """Values of one quantity, such as the loss of each epoch."""

    name: str
    values: Sequence[float]
    unit: str = ""

    def text(self, value: float) -> str:
        """Return a value with its unit; percent are fractions here."""
        return f"{value:.1%}" if self.unit == "%" else f"{digits(value)} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Series:
    """Curves over one axis."""

    title: str
    axis: str
    curves: Sequence[Curve]


@dataclass(frozen=True, slots=True)
class Notes:
    """Sentences; a list under its title, or paragraphs without one. ``quiet`` ones are footnotes."""

    lines: Sequence[str]
    title: str = ""
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A line to be copied: never wrapped."""

    line: str
    title: str = ""


Section = Headline | Facts | Shares | Table | Series | Notes | Command


def duration(seconds: float) -> str:
    """Return a time in the largest unit of which it has one."""
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def digits(value: float) -> str:
    """Return three digits that count, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
