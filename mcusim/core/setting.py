"""A choice that a person has, spelled once: a field of a frozen dataclass that says all there is to say.

Name, type and default are the field's own; ``setting`` adds one line of help, the values that are allowed,
bounds and unit. From that come the check of arguments, plain data for JSON and TOML and back (``chosen.py``),
and, in the rooms above, options, run files and the table in the documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from numbers import Integral, Real
from types import NoneType
from typing import Any, Protocol

from mcusim.core.errors import BadArgument, McusimError, UnknownName
from mcusim.core.frozen import FrozenDict

KEY = "setting"
"""Of a field's metadata."""


class NameChoice(Protocol):
    """Names that can be listed and looked up: a tuple, a table, an enumeration, a registry."""

    def __iter__(self) -> Iterator[str]: ...
    def __contains__(self, name: Any, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class About:
    """What a field cannot say by itself.

    Attributes:
        help: one line, without a full stop.
        values: names the allowed values; asked when needed, so that registries load late.
        open: other values than those named are possible, e.g. a file.
        label: what a message calls the thing, if not by its name.
        unit: of a number.
        flags: of the command line, if not ``--name``.
        above, least, below, most: bounds of a number, or of each number of a table.
        example: a value that can be tried, for the way out of a message.
        cheaper: of a value, the values to try where the step needs too much SRAM, the least change first.
        read: turns what a person may write into the value; raises what a person should read.
        write: turns a value into plain data, where it is none.
        derived: follows from something else, or changes nothing; no option.
        terse: left out of plain data where it is the default.
    """

    help: str
    values: Callable[[], NameChoice] | None = None
    open: bool = False
    label: str = ""
    unit: str = ""
    flags: tuple[str, ...] = ()
    above: float | None = None
    least: float | None = None
    below: float | None = None
    most: float | None = None
    example: str = ""
    cheaper: Callable[[Any], Iterable[Any]] | None = None
    read: Callable[[Any], Any] | None = None
    write: Callable[[Any], Any] | None = None
    derived: bool = False
    terse: bool = False


def setting(default: Any, help: str, **about: Any) -> Any:
    """Return a field of a ``Chosen``; a class or function as default makes a new value each time.

    Args:
        default: what a newcomer should get.
        help: one line.
        about: see ``About``.
    """
    metadata = {KEY: About(help, **about)}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Setting:
    """One choice: where it stands, its type, and what is said about it."""

    path: tuple[str, ...]
    kinds: tuple[Any, ...]
    """Its types; more than one if it may also be ``None``, or a name instead of a value."""
    default: Any
    about: About

    @property
    def name(self) -> str:
        """Its own name, e.g. ``weight_rate``."""
        return self.path[-1]

    @property
    def flags(self) -> tuple[str, ...]:
        """Options of the command line, e.g. ``--weight-rate``."""
        return self.about.flags or (f"--{self.name.replace('_', '-')}",)

    @property
    def label(self) -> str:
        """What a message calls it."""
        return self.about.label or self.name

    @property
    def is_flag(self) -> bool:
        """True if it is a plain yes or no."""
        return self.kinds == (bool,)

    @property
    def optional(self) -> bool:
        """True if it may be ``None``."""
        return NoneType in self.kinds

    @property
    def values(self) -> tuple[str, ...]:
        """The names that are allowed; empty where anything of the type is."""
        return () if self.about.values is None else tuple(str(v) for v in self.about.values())

    def accept(self, value: Any) -> Any:
        """Return a value as it is kept.

        Raises:
            UnknownName: if it is none of the names that are allowed; suggests the nearest.
            BadArgument: if it is of another type or out of bounds.
        """
        about = self.about
        if about.read is not None:
            value = about.read(value)
        if value is None and self.optional:
            return None
        if about.values is not None and not about.open and isinstance(value, str):
            if value not in about.values():
                raise UnknownName(self.label, value, self.values)
            return value
        if dict in self.kinds and isinstance(value, Mapping):
            return FrozenDict({str(key): self._number(each, str(key)) for key, each in value.items()})
        if bool in self.kinds and isinstance(value, bool):
            return value
        if isinstance(value, Real) and {int, float} & {*self.kinds}:
            return self._number(value, "")
        if any(isinstance(kind, type) and isinstance(value, kind) for kind in self.kinds if kind is not int):
            return value
        raise BadArgument(f"{self.label} {value!r}", f"is not {self.kind}", self._way_out)

    def parse(self, text: str) -> Any:
        """Return plain data from a text as the command line has it; errors name the option.

        Raises:
            UnknownName: if it is none of the names that are allowed; suggests the nearest.
            BadArgument: if it is of another type or out of bounds.
        """
        option = replace(self, about=replace(self.about, label=self.flags[0]))
        value = option._read(text)
        try:
            option.accept(value)
        except McusimError as error:
            if self.about.read is None:
                raise
            # What it consists of has names of its own.
            raise BadArgument(f"{self.flags[0]}: {error.thing}", error.reason, error.way_out) from error
        return value

    def _read(self, text: str) -> Any:
        if self.about.read is not None:
            return text
        if self.optional and text.strip().lower() == "none":
            return None
        wrong = BadArgument(f"{self.label} {text!r}", f"is not {self.kind}", self._way_out)
        try:
            if dict in self.kinds:
                pairs = [part.rpartition("=") for part in filter(None, text.split(","))]
                if not all(name for name, _, _ in pairs):
                    raise wrong
                return {name.strip(): float(number) for name, _, number in pairs}
            if int in self.kinds:
                return int(text)
            if float in self.kinds:
                return float(text)
        except ValueError as error:
            raise wrong from error
        return text

    def spell(self, value: Any) -> str:
        """Return a value as the command line has it, e.g. ``--lr 0.02``, or ``--flip`` of a yes or no."""
        flag, value = self.flags[0], self.plain(value)
        if self.is_flag:
            return flag if value else f"--no-{flag.removeprefix('--')}"
        if isinstance(value, dict):
            value = ",".join(f"{key}={each!r}" for key, each in value.items())
        return f"{flag} {'none' if value is None else value}"

    def cheaper(self, chosen: Any) -> tuple[Any, ...]:
        """Return the values that may need less SRAM than the one in ``chosen``, the least change first."""
        for name in self.path:
            chosen = getattr(chosen, name)
        return () if self.about.cheaper is None else tuple(self.about.cheaper(chosen))

    def plain(self, value: Any) -> Any:
        """Return a value as plain data."""
        if self.about.write is not None:
            return self.about.write(value)
        return dict(value) if isinstance(value, Mapping) else value

    @property
    def kind(self) -> str:
        """What it is, in words."""
        if dict in self.kinds:
            return "a list like NAME=0.5,NAME=2"
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        named = [word for kind, word in words.items() if kind in self.kinds]
        return " or ".join(named + (["none"] if self.optional else [])) or "of that kind"

    @property
    def bounds(self) -> str:
        """Bounds in words, e.g. ``at least 1`` or ``in [0, 1)``; empty if there are none."""
        above, low, below, most = self.about.above, self.about.least, self.about.below, self.about.most
        if below is None and most is None:
            return f"at least {low}" if low is not None else "" if above is None else f"above {above}"
        high = f"{most:,}]" if most is not None else f"{below:,})"
        return f"in {f'[{low}' if low is not None else '(-inf' if above is None else f'({above}'}, {high}"

    @property
    def _way_out(self) -> str:
        tried = self.about.example or self.default
        return "" if tried is None else f"e.g. {tried}"

    def _number(self, value: Any, key: str) -> float:
        """Return a number of this setting (of its entry ``key``), checked."""
        label = f"{self.label} {f'{key}=' if key else ''}{value}"
        about, whole = self.about, float not in self.kinds and dict not in self.kinds
        if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
            raise BadArgument(label, f"is not {'a number' if key else self.kind}", self._way_out)
        number = int(value) if isinstance(value, Integral) and whole else float(value)
        inside = (
            -inf < number < inf
            and (about.above is None or number > about.above)
            and (about.least is None or number >= about.least)
            and (about.below is None or number < about.below)
            and (about.most is None or number <= about.most)
        )
        if not inside:
            raise BadArgument(label, f"is not {self.bounds or 'finite'}", self._way_out)
        return number
