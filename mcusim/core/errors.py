"""What can go wrong, as types that carry the data a person needs to go on.

Every message has the same three parts: the thing, the reason, the way out.
The command line prints it and exits with code 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from mcusim.core.legible import escaped, legible, shortened

LONGEST_LIST = 120
"""Characters of all names beside the nearest one: a line and a half."""
LONGEST_PART = 1500
"""Characters of a part of a message: half a screen."""


def _one_line(text: str) -> str:
    """Return a part of a message on one line, every name in it short; an apostrophe is no quote.

    What a library says of a damaged file may quote all of it.
    """
    text = re.sub(r"(?<!\w)'([^']*)'(?!\w)", lambda m: f"'{shortened(m[1])}'", escaped(text))
    return shortened(legible(text), LONGEST_PART)


class McusimError(Exception):
    """Base of every error that a user can cause.

    Args:
        thing: what is wrong, named as the user knows it (a file, an option, a tensor).
        reason: why it is wrong.
        way_out: what to do about it.
    """

    def __init__(self, thing: str, reason: str, way_out: str = "") -> None:
        self.thing, self.reason, self.way_out = map(_one_line, (thing, reason, way_out))
        super().__init__(f"{self.thing}: {self.reason}" + (f" ({self.way_out})" if self.way_out else ""))

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.__dict__, self.args))


def _rebuild(kind: type[McusimError], state: dict[str, object], args: tuple[object, ...]) -> McusimError:
    error = kind.__new__(kind)
    error.__dict__.update(state)
    error.args = args
    return error


class BadArgument(McusimError, ValueError):
    """An argument or option has a value that makes no sense."""


class BadModel(McusimError, ValueError):
    """A model file, or the network in it, is damaged or not supported."""


class BadData(McusimError, ValueError):
    """A data set is missing, damaged, or does not fit the model."""


class BadBoard(McusimError, ValueError):
    """A board or cycle-profile file is wrong, or lacks a figure that a result needs."""


class BadProblem(McusimError, ValueError):
    """An allocation problem, plan or allocator request breaks its own rules."""


class BadProof(McusimError, ValueError):
    """A certificate is damaged, or something in it is not so."""


class BadTrace(McusimError, ValueError):
    """A trace is damaged, of another version, or its events contradict each other."""


class BadRun(McusimError, ValueError):
    """A run directory or checkpoint is damaged or belongs to something else."""


class Diverged(McusimError, ArithmeticError):
    """Training came to a number that is not finite.

    Attributes:
        step: the number of steps done when it was noticed.
        history: the rows of the epochs until then.
    """

    def __init__(self, what: str, step: int, history: Iterable[dict[str, Any]], way_out: str) -> None:
        self.step, self.history = step, list(history)
        super().__init__("training", f"diverged: {what}, after {step:,} steps", way_out)


class MissingPackage(McusimError, ImportError):
    """An optional package is needed for this and not installed."""

    def __init__(self, package: str, purpose: str, extra: str) -> None:
        super().__init__(purpose, f"needs the package {package}", f"pip install 'mcusim[{extra}]'")
        self.package, self.extra = package, extra


class SaveFailed(McusimError, OSError):
    """Writing a file did not work; the previous file, if any, is untouched."""


class UnknownName(McusimError, LookupError):
    """A name that is not registered; suggests the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        near = get_close_matches(str(name), self.known, n=3, cutoff=0.5)
        way_out = f"known: {', '.join(self.known)}"
        if near:  # the others are told too where they are few
            few = len(near) < len(self.known) and len(way_out) <= LONGEST_LIST
            way_out = f"did you mean {' or '.join(near)}?" + few * f" {way_out}"
        super().__init__(f"{kind} {name!r}", "is not known", way_out)


@dataclass(frozen=True, slots=True)
class LiveBlock:
    """One block that was live when memory ran out."""

    name: str
    role: str
    bytes: int


class OutOfSram(McusimError, MemoryError):
    """A step or an allocation does not fit in SRAM.

    Attributes:
        capacity_bytes: the SRAM there is.
        needed_bytes: the smallest capacity with which this placement would have worked.
        missing_bytes: ``needed_bytes - capacity_bytes``.
        largest_hole_bytes: the largest free run of bytes at that moment.
        live: the blocks live at that moment, largest first.
        where: the op or event at which it happened.
        event: the number of that event in a list of heap events, from 0; -1 where there is no such list.
        fullest: the moment with the most live bytes, and how many, where that is another one.
        suggestions: settings that would lower the peak, each with its effect.
    """

    region = "SRAM"

    def __init__(
        self,
        *,
        capacity_bytes: int,
        needed_bytes: int,
        largest_hole_bytes: int = 0,
        live: Iterable[LiveBlock] = (),
        where: str = "",
        event: int = -1,
        fullest: str = "",
        suggestions: Iterable[str] = (),
    ) -> None:
        self.capacity_bytes, self.needed_bytes = capacity_bytes, needed_bytes
        self.missing_bytes = needed_bytes - capacity_bytes
        self.largest_hole_bytes = largest_hole_bytes
        self.live = tuple(sorted(live, key=lambda b: (-b.bytes, b.name)))
        self.where, self.event, self.fullest = where, event, fullest
        self.suggestions = tuple(suggestions)
        top = ", ".join(f"{b.name} ({b.role}) {b.bytes:,} B" for b in self.live[:4])
        reason = (
            f"needs {needed_bytes:,} B and there are {capacity_bytes:,} B: "
            f"{self.missing_bytes:,} B are missing" + (f" at {where}" if where else "")
        )
        if self.live:
            reason += f"; largest live blocks: {top}; largest hole {largest_hole_bytes:,} B"
        if fullest:
            reason += f"; fullest at {fullest}"
        super().__init__(self.region, reason, "; ".join(self.suggestions))


class OutOfFlash(OutOfSram):
    """The program, its constants and the checkpoint area do not fit in flash."""

    region = "flash"
