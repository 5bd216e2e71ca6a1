"""A tour: one trace in the hands of every planner and every allocator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from mcusim.core.counted import counted
from mcusim.core.errors import McusimError, OutOfSram
from mcusim.core.units import parse_bytes
from mcusim.memory.allocators import ALLOCATORS
from mcusim.memory.planners import PLANNERS
from mcusim.sections.kinds import Column, Headline, Notes, Section, Table
from mcusim.sections.shown import Shown
from mcusim.traces.replay import replay
from mcusim.traces.source import Source, Traced


@dataclass(frozen=True, slots=True)
class TourStop:
    """What one planner or allocator made of the trace.

    Attributes:
        method: ``planner`` or ``allocator``.
        name: of it.
        fits: it held everything in the SRAM there is; True where no limit was asked for.
        peak_bytes: of a heap or placement as large as it takes; ``None`` if it gave none.
        live_bytes: most bytes of blocks live at once, ``None`` likewise.
        overhead_bytes: headers and rounding when most was live.
        failure: why it does not fit or gave nothing, in one line; empty otherwise.
        seconds: it took on this machine.
    """

    method: str
    name: str
    fits: bool
    peak_bytes: int | None
    live_bytes: int | None
    overhead_bytes: int | None
    failure: str
    seconds: float

    @property
    def fragmentation(self) -> float | None:
        """The part of the peak that held no block when most was live: headers, rounding and holes."""
        if self.peak_bytes is None or self.live_bytes is None:
            return None
        return 1 - self.live_bytes / self.peak_bytes if self.peak_bytes else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "method": self.method, "name": self.name, "fits": self.fits, "peak_bytes": self.peak_bytes,
            "live_bytes": self.live_bytes, "overhead_bytes": self.overhead_bytes,
            "fragmentation": self.fragmentation, "failure": self.failure, "seconds": self.seconds,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tour(Shown):
    """Every planner and allocator on one trace, the lowest peak first.

    Attributes:
        title: of the trace.
        sram_bytes: there are, or ``None`` for as many as it takes.
        stops: one each.
    """

    title: str
    sram_bytes: int | None
    stops: tuple[TourStop, ...]

    @property
    def best(self) -> TourStop | None:
        """The one with the lowest peak of those that fit; of equals the fastest."""
        return next((stop for stop in self.stops if stop.fits), None)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "schema": "mcusim.tour/1", "trace": self.title, "sram_bytes": self.sram_bytes,
            "fits": self.best is not None, "stops": [stop.as_dict() for stop in self.stops],
        }  # fmt: skip

    def sections(self) -> list[Section]:
        """Return who needs least, a table of all, and what went wrong where."""
        columns = (
            Column("", kind="name"), Column("does it", kind="text", priority=1),
            Column("peak", "B", "number"), Column("overhead", "B", "number", 2),
            Column("fragmentation", "", "share", 1), Column("time", "s", "number", 1, 3),
            Column("", kind="text"),
        )  # fmt: skip
        rows = [
            (
                stop.name, "in advance" if stop.method == "planner" else "at run time", stop.peak_bytes,
                stop.overhead_bytes, stop.fragmentation, stop.seconds, "" if stop.fits else "does not fit",
            )
            for stop in self.stops
        ]  # fmt: skip
        best = self.best
        verdict = "none fits" if best is None else f"{best.name} needs least"
        of = "" if self.sram_bytes is None else f" in {self.sram_bytes:,} B"
        found: list[Section] = [
            Headline(f"{self.title}{of}", verdict, best is not None),
            Table(columns, rows),
        ]
        failed = [f"{stop.name}: {stop.failure}" for stop in self.stops if stop.failure]
        return [*found, Notes(failed, "what failed")] if failed else found


def tour(
    source: Traced,
    *,
    sram: int | str | None = None,
    seed: int = 0,
    only: Sequence[str] = (),
    title: str = "",
) -> Tour:
    """Replay a trace with every planner and on every allocator.

    Args:
        source: a trace in memory, or a file that is read group by group.
        sram: bytes there are, e.g. ``"192KiB"``; without them all that matters is the peak.
        seed: for planners that draw.
        only: names of planners and allocators, if not all of them are wanted.
        title: of the trace, for what is printed.

    Returns:
        A stop each, the lowest peak first. One that fails says why.

    Raises:
        UnknownName: for a name in ``only`` that is none.
        BadTrace: events that contradict each other, naming the row.
    """
    capacity = None if sram is None else parse_bytes(sram)
    replay(source)  # a trace that contradicts itself is an error, not a row
    stops = []
    for method, name in counted(list(_entries(only))):
        stops.append(_stop(source, method, name, capacity, seed))
    stops.sort(key=lambda s: (not s.fits, s.peak_bytes is None, s.peak_bytes or 0, s.seconds))
    return Tour(title or Source(source).header.model or "trace", capacity, tuple(stops))


def _entries(only: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield method and name of each."""
    for name in only:
        if name not in PLANNERS.names():
            _ = ALLOCATORS[name]  # says which names there are
    for method, registry in (("planner", PLANNERS), ("allocator", ALLOCATORS)):
        yield from ((method, name) for name in registry.names() if not only or name in only)


def _stop(source: Traced, method: str, name: str, capacity: int | None, seed: int) -> TourStop:
    began, failure = perf_counter(), ""
    how = {method: name}
    try:
        try:
            found = replay(source, sram=capacity, seed=seed, **how)
        except OutOfSram as error:
            failure = f"{error.missing_bytes:,} B are missing" + (f" at {error.where}" if error.where else "")
            found = replay(source, seed=seed, **how)
    except McusimError as error:
        return TourStop(method, name, False, None, None, None, failure or str(error), perf_counter() - began)
    seconds = perf_counter() - began
    return TourStop(
        method, name, not failure, found.peak_bytes, found.live_bytes, found.overhead_bytes, failure, seconds
    )
