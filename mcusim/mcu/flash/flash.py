"""Simulated flash: erase sets a sector to ones, programming clears bits, and both can lose their power."""

from __future__ import annotations

import random
from collections.abc import Iterator

from mcusim.core import BadArgument, Interval
from mcusim.mcu.board import Board, FlashMemory, FlashSectors

ERASED = 0xFF


class PowerCut(Exception):
    """The supply failed during a flash operation; what that operation touched is undefined."""


def sectors(flash: FlashMemory) -> Iterator[tuple[Interval, FlashSectors]]:
    """Yield every erase unit as its bytes and its kind, in address order."""
    start = 0
    for kind in flash.sectors:
        for _ in range(kind.count):
            yield Interval(start, start + kind.bytes), kind
            start += kind.bytes


def sector_at(flash: FlashMemory, offset: int) -> FlashSectors:
    """Return the kind of the erase unit that holds the byte at an offset."""
    return next(kind for unit, kind in sectors(flash) if offset in unit)


class SimulatedFlash:
    """A part of a board's flash that starts and ends on sector boundaries, with wear and power cuts.

    Args:
        board: whose flash it is.
        area: the bytes simulated.
        cut_after: how many operations (one sector erased, one unit programmed) succeed; the next one
            is interrupted half way and raises ``PowerCut``. ``None``: the supply never fails.
        seed: of what an interrupted operation leaves behind.

    Raises:
        BadArgument: if the area is not made of whole sectors.
    """

    def __init__(self, board: Board, area: Interval, *, cut_after: int | None = None, seed: int = 0) -> None:
        self.board, self.area, self.cut_after = board, area, cut_after
        self.units = [unit for unit, _ in sectors(board.flash) if area.overlaps(unit)]
        if not self.units or self.units[0].start != area.start or self.units[-1].end != area.end:
            raise BadArgument(
                f"flash area {area.start:#x} to {area.end:#x}",
                f"is not made of whole sectors of {board.name}",
                "start and end on sector boundaries",
            )
        self.data = bytearray([ERASED]) * len(area)
        self.erases = [0] * len(self.units)
        """Wear: erase cycles of each sector of the area."""
        self.operations = 0
        self._random = random.Random(seed)

    def read(self, start: int, count: int) -> bytes:
        """Return ``count`` bytes from address ``start``."""
        offset = start - self.area.start
        return bytes(self.data[offset : offset + count])

    def erase(self, sector: int) -> None:
        """Erase one sector of the area, by its index.

        Raises:
            PowerCut: if the supply fails; every bit of the sector is then undefined.
        """
        unit = self.units[sector]
        self.erases[sector] += 1
        start, end = unit.start - self.area.start, unit.end - self.area.start
        if self._cut():
            self.data[start:end] = self._random.randbytes(len(unit))
            raise PowerCut
        self.data[start:end] = bytes([ERASED]) * len(unit)

    def program(self, start: int, payload: bytes) -> None:
        """Program whole units from address ``start``; a unit must have been erased before.

        Raises:
            BadArgument: if the address or length is no multiple of the unit, or a unit is not erased.
            PowerCut: if the supply fails; the bits of the unit being programmed are then undefined,
                later units are untouched.
        """
        unit = self.board.flash.program_bytes
        if start % unit or len(payload) % unit:
            raise BadArgument(
                f"programming {len(payload)} B at {start:#x}", f"the unit is {unit} B", "pad to whole units"
            )
        for offset in range(0, len(payload), unit):
            where = start + offset - self.area.start
            if any(byte != ERASED for byte in self.data[where : where + unit]):
                raise BadArgument(
                    f"programming {start + offset:#x}", "is not erased", "erase its sector first"
                )
            new = payload[offset : offset + unit]
            if self._cut():
                # Programming only clears bits: any subset of them may have been cleared.
                kept = self._random.randbytes(unit)
                self.data[where : where + unit] = bytes(n | k for n, k in zip(new, kept, strict=True))
                raise PowerCut
            self.data[where : where + unit] = new

    def _cut(self) -> bool:
        cut = self.cut_after is not None and self.operations >= self.cut_after
        self.operations += 1
        return cut
