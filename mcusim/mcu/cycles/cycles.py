"""Cycles and time of work on a board, each with its provenance and error band."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcusim.core import BadBoard, Figure, Provenance, Work
from mcusim.mcu.board import Board
from mcusim.mcu.cycles.band import ends
from mcusim.mcu.cycles.form import FLASH
from mcusim.mcu.cycles.profile import Profile, profile
from mcusim.mcu.cycles.sram import Access, RegionUse, SramStalls, sram_stalls

FLOAT_COUNTS = ("float_macs", "float_ops")
"""Counts that always use a profile's default terms: measured networks are integer ones."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Cycles of a sequence of ops on one board under one profile."""

    board: Board
    profile: Profile
    cycles: tuple[int, ...]
    """Cycles of each op, in the order given, stalls included."""
    calibrated_cycles: int
    """Cycles of ops whose terms rest on measurements; the rest is modelled."""
    deviation: float
    """Standard deviation of the logarithm of all cycles."""
    flash_stalls: tuple[int, ...] = ()
    """Of these, by op, those spent waiting for constants from flash."""
    sram: SramStalls | None = None
    """What SRAM costs of them; ``None`` where no places were given."""
    notes: tuple[str, ...] = ()
    """What this estimate could not account for."""

    @property
    def breakdown(self) -> dict[str, int]:
        """Cycles by what they are spent on; they add up to ``total_cycles``."""
        flash = sum(self.flash_stalls)
        sram = 0 if self.sram is None else sum(self.sram.regions)
        misses = 0 if self.sram is None else sum(self.sram.misses)
        return {
            "compute": self.total_cycles - flash - sram - misses,
            "flash_stalls": flash,
            "sram_stalls": sram,
            "cache_misses": misses,
        }

    @property
    def unknown(self) -> tuple[str, ...]:
        """Parts of ``breakdown`` that lack a figure of the board and count less than they are; see notes."""
        waiting = {use.region.cached for use in self.regions if use.stall_cycles is None}
        parts = {
            "flash_stalls": _stall_per_byte(self.board, self.profile)[1] != (),
            "sram_stalls": False in waiting,
            "cache_misses": True in waiting,
        }
        return tuple(name for name, missing in parts.items() if missing)

    @property
    def stalls(self) -> tuple[int, ...]:
        """Cycles of each op spent waiting for any memory."""
        if self.sram is None:
            return self.flash_stalls
        return tuple(map(sum, zip(self.flash_stalls, self.sram.regions, self.sram.misses, strict=True)))

    @property
    def regions(self) -> tuple[RegionUse, ...]:
        """What happens in each region of SRAM; empty where no places were given."""
        return () if self.sram is None else self.sram.uses

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "step_ms": self.time_ms.as_dict(), "cycles": self.total_cycles, "breakdown": self.breakdown,
            "unknown": list(self.unknown), "regions": [use.as_dict() for use in self.regions],
            "profile": self.profile.name, "notes": list(self.notes),
        }  # fmt: skip

    @property
    def total_cycles(self) -> int:
        """Sum over all ops."""
        return sum(self.cycles)

    @property
    def seconds(self) -> float:
        """Time of all ops at the board's clock."""
        return self.total_cycles / self.board.clock_hz

    @property
    def time_ms(self) -> Figure:
        """Time of all ops, with the profile's name and the 90 % band.

        The figure is ``calibrated`` if every op's terms rest on measurements, else ``modelled``; the
        source says which share of the cycles nobody measured. ``mcu/cycles/band.py`` says what widens
        the band.
        """
        total = self.total_cycles
        modelled = total - self.calibrated_cycles
        share = f"; {modelled / total:.0%} of the cycles modelled" if modelled else ""
        milliseconds = self.seconds * 1000
        return Figure(
            milliseconds, "ms", Provenance.MODELLED if modelled else Provenance.CALIBRATED,
            self.profile.source + share, *ends(milliseconds, self.deviation),
        )  # fmt: skip


def estimate(
    works: Iterable[Work],
    board: Board,
    cycle_profile: str | Path | Profile | None = None,
    *,
    accesses: Sequence[Sequence[Access]] | None = None,
) -> Estimate:
    """Return the cycles of ``works`` on ``board``.

    Args:
        works: the work of each op.
        board: where they run.
        cycle_profile: a profile, its name, or a TOML file; the board's own by default.
        accesses: what each op moves at which offsets of SRAM; without them SRAM never stalls.

    Raises:
        BadBoard: if the profile is for another core, or the board names none.
        UnknownName: if there is no profile of that name.
    """
    if isinstance(cycle_profile, Profile):
        found = cycle_profile
    else:
        found = profile(
            board.need("profile", "an estimate of cycles") if cycle_profile is None else cycle_profile
        )
    if found.core != board.core:
        raise BadBoard(
            f"cycle profile {found.name}",
            f"is for {found.core} and {board.name} is a {board.core}",
            "choose a profile of that core"
            if cycle_profile is not None
            else f"correct profile or core in {board.file or board.name + '.toml'}, or leave profile out",
        )
    stall, notes = _stall_per_byte(board, found)
    chip = found.chips.get(board.chip or board.name)
    speed = 1.0 if chip is None else chip.speed
    constants = found.band.of_terms()
    parts = [0.0] * len(found.band.constants)
    waiting = list(found.band.constants).index(FLASH) if FLASH in found.band.constants else None
    measured = frozenset(found.calibrated)
    cycles, flash, calibrated, modelled, untold, macs = [], [], 0, 0.0, 0.0, 0
    for work in works:
        total = stall * work.flash_read
        if waiting is None:
            modelled += total
        else:
            parts[waiting] += total
        for count, cost in _terms(work, found):
            place = constants.get((work.kind, count)) if work.kind in measured else None
            if work.kind not in found.terms:
                untold += speed * cost
            elif place is None:
                modelled += speed * cost
            else:
                parts[place] += speed * cost
            total += speed * cost
        count_of_cycles = round(total)
        cycles.append(count_of_cycles)
        flash.append(min(count_of_cycles, round(stall * work.flash_read)))
        macs += work.macs
        if work.kind in measured and not work.float_macs and not work.float_ops:
            calibrated += count_of_cycles
    deviation = found.band.deviation(parts, modelled, chip is not None, macs, untold)
    if accesses is None:
        return Estimate(board, found, tuple(cycles), calibrated, deviation, tuple(flash), None, notes)
    sram = sram_stalls(accesses, board)
    cycles = [c + r + m for c, r, m in zip(cycles, sram.regions, sram.misses, strict=True)]
    notes += tuple(_unknown(use, board, sum(cycles)) for use in sram.uses if use.stall_cycles is None)
    return Estimate(board, found, tuple(cycles), calibrated, deviation, tuple(flash), sram, notes)


def _unknown(use: RegionUse, board: Board, cycles: int) -> str:
    """Say that a region's wait states are unknown, and what each of them would add."""
    what = "lines missed" if use.region.cached else "bus words"
    return (
        f"{board.name}.toml has no wait_states of sram {use.region.name}: {use.waits:,} {what} are taken to "
        f"cost nothing; each wait state would add {use.waits / max(1, cycles):.2%} to the time"
    )


def _terms(work: Work, found: Profile) -> Iterator[tuple[str, float]]:
    own = found.terms.get(work.kind)
    default = found.default
    for count, coefficient in (default if own is None else own).items():
        yield count, coefficient * (1 if count == "ops" else getattr(work, count))
    if own is not None:
        for count in FLOAT_COUNTS:
            if count not in own and count in default:
                yield count, default[count] * getattr(work, count)


def _stall_per_byte(board: Board, found: Profile) -> tuple[float, tuple[str, ...]]:
    """Return the cycles that a byte of constants keeps the core waiting, and what is unknown of it."""
    chip = found.chips.get(board.chip or board.name)
    if chip is not None and chip.flash_cycles_per_byte is not None:
        return chip.flash_cycles_per_byte, ()
    if not found.flash_stall:
        return 0.0, ()
    flash = board.flash
    if flash.wait_states is None or flash.fetch_bytes is None:
        missing = "flash.wait_states" if flash.wait_states is None else "flash.fetch_bytes"
        return 0.0, (f"{board.name}.toml has no {missing}: constants are taken to arrive without stalls",)
    return found.flash_stall * flash.wait_states / flash.fetch_bytes, ()
