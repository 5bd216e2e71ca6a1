"""What writing learned parameters back to flash costs: time, wear, lifetime."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import BadBoard, Figure, Interval, Provenance
from mcusim.mcu.board import Board
from mcusim.mcu.flash.flash import sectors
from mcusim.mcu.flash.store import Layout, header_bytes, lay_out


@dataclass(frozen=True, slots=True)
class WriteBack:
    """Cost of one power-safe write-back. Where only a bound is known, typical times are that bound."""

    board: Board
    payload_bytes: int
    layout: Layout
    erased_sectors: int
    """Of the largest slot."""
    erased_bytes: int
    programmed_units: int
    """Program units, the header's included."""

    @property
    def typical_ms(self) -> float:
        """Erase and program with typical times.

        Raises:
            BadBoard: if the board has neither typical nor maximum times; names the field.
        """
        return self._time(worst=False)

    @property
    def worst_ms(self) -> float:
        """Erase and program with maximum times; typical ones where no maximum is known.

        Raises:
            BadBoard: as ``typical_ms``.
        """
        return self._time(worst=True)

    @property
    def time_ms(self) -> Figure:
        """Typical time; the error band ends at the maximum time, if one is known."""
        typical, worst = self.typical_ms, self.worst_ms
        source = f"{self.board.source('flash.sectors')}; {self._program_source()}"
        return Figure(typical, "ms", Provenance.MODELLED, source, typical, worst)

    @property
    def sessions(self) -> int:
        """Write-backs until the first sector reaches its endurance; the slots are worn in turn.

        Raises:
            BadBoard: if the endurance is absent.
        """
        cycles: int = self.board.need("flash.endurance_cycles", "the lifetime of the flash")
        return cycles * len(self.layout.slots)

    def _time(self, worst: bool) -> float:
        return self._erase_ms(worst) + self._program_ms(worst)

    def _erase_ms(self, worst: bool) -> float:
        slots = []
        for slot in self.layout.slots:
            total = 0.0
            for unit, kind in sectors(self.board.flash):
                if unit.overlaps(slot):
                    total += self._one(
                        kind.erase_typ_ms, kind.erase_max_ms, "flash.sectors.erase_typ_ms", worst
                    )
            slots.append(total)
        return max(slots)

    def _program_ms(self, worst: bool) -> float:
        flash = self.board.flash
        unit = self._one(flash.program_typ_us, flash.program_max_us, "flash.program_typ_us", worst)
        return self.programmed_units * unit / 1000

    def _one(self, typical: float | None, most: float | None, field: str, worst: bool) -> float:
        first, second = (most, typical) if worst else (typical, most)
        if first is not None:
            return first
        if second is not None:
            return second
        raise BadBoard(
            f"board {self.board.name}: {field}",
            "neither a typical nor a maximum time is known, and the time of a write-back needs one",
            f"fill it in, with its source, in a copy of {self.board.file or self.board.name + '.toml'}",
        )

    def _program_source(self) -> str:
        typical = self.board.flash.program_typ_us is not None
        return self.board.source("flash.program_typ_us" if typical else "flash.program_max_us")


def write_back(
    board: Board, payload_bytes: int, slots: int = 2, *, places: tuple[Interval, ...] = ()
) -> WriteBack:
    """Return the cost of writing ``payload_bytes`` of learned parameters back to flash.

    The copies lie at ``places``, whole sectors; if there are none given, or another number than ``slots``,
    at the end of flash.

    Raises:
        OutOfFlash: if ``slots`` copies on whole sectors do not fit.
        BadArgument: if there are fewer than two slots or no payload.
    """
    given = Layout(places, header_bytes(board)) if len(places) == slots else None
    layout = given or lay_out(board, payload_bytes, slots)
    unit = board.flash.program_bytes
    largest = max(layout.slots, key=len)
    return WriteBack(
        board,
        payload_bytes,
        layout,
        sum(1 for sector, _ in sectors(board.flash) if sector.overlaps(largest)),
        len(largest),
        (layout.header_bytes + payload_bytes + unit - 1) // unit,
    )
