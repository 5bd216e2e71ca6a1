"""Records that are replaced one by one in flash: a ring of blocks that is cleaned as it fills.

Flash is erased in units far larger than a record, so a record is never written over: the new one goes to the
next erased place, and the old one is dead. Beside the blocks that the records take (erase units, or several
where a record is larger) there are two: one that is being filled, and one that is erased. When the first is
full, the second is filled on, to begin with by the living records of the oldest block, which is erased then:
the log-structured cleaning of Rosenblum and Ousterhout (1992), first in, first out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadBoard, Figure, Provenance
from mcusim.mcu.board import Board
from mcusim.mcu.flash.flash import sectors

INDEX_BYTES = 2
"""SRAM bytes for each record: its place in the ring."""


class Ring:
    """A ring at the end of a board's flash, and what was written into it.

    Args:
        board: whose flash it is; its last sectors, all alike, hold the ring.
        record_bytes: of one record.
        capacity: records that live at once.

    Attributes:
        erases: of each block.
        programmed: records that were programmed, moved ones included.
        image: what the flash holds, where records are given with their bytes; ``None`` until then.
    """

    def __init__(self, board: Board, record_bytes: int, capacity: int) -> None:
        self.board = board
        self.unit = board.flash.sectors[-1].bytes
        smallest = board.flash.program_bytes
        self.record_bytes = -(-record_bytes // smallest) * smallest
        self._units = -(-self.record_bytes // self.unit)
        self.per_block = self._units * self.unit // self.record_bytes
        self.blocks = -(-capacity // self.per_block) + 2
        self.erases = [0] * self.blocks
        self.programmed = 0
        self.image: NDArray[np.uint8] | None = None
        self._where: dict[int, int] = {}
        self._live: list[set[int]] = [set() for _ in range(self.blocks)]
        self._turns = self._used = 0

    @property
    def bytes(self) -> int:
        """Bytes of flash, in whole erase units."""
        return self.blocks * self._units * self.unit

    def place(self, slot: int) -> int:
        """Return where the record of a slot is: places are counted through all blocks."""
        return self._where[slot]

    def read(self, slot: int) -> NDArray[np.uint8]:
        """Return the bytes of the record of a slot, padded to what is programmed at once."""
        assert self.image is not None
        start = self._address(self._where[slot])
        return self.image[start : start + self.record_bytes].copy()

    @property
    def progress(self) -> tuple[int, int]:
        """Blocks that were begun after the first, and records in the newest: all that a device counts."""
        return self._turns, self._used

    def write(self, slot: int, record: NDArray[np.uint8] | None = None) -> None:
        """Replace the record of a slot, or write its first."""
        if record is not None and self.image is None:
            self.image = np.full(self.bytes, 0xFF, np.uint8)
        if slot in self._where:
            self._live[self._where.pop(slot) // self.per_block].discard(slot)
        while self._used == self.per_block:
            self._turn()
        self._append(slot, record)

    def _address(self, place: int) -> int:
        block, number = divmod(place, self.per_block)
        return block * self._units * self.unit + number * self.record_bytes

    def _append(self, slot: int, record: NDArray[np.uint8] | None) -> None:
        block = self._turns % self.blocks
        place = self._where[slot] = block * self.per_block + self._used
        self._live[block].add(slot)
        self._used += 1
        self.programmed += 1
        if self.image is not None and record is not None:
            start = self._address(place)
            self.image[start : start + len(record)] = record

    def _turn(self) -> None:
        """Go on in the next block; if it is the last erased one, move what lives in the oldest there."""
        self._turns += 1
        self._used = 0
        if self._turns < self.blocks - 1:
            return
        oldest = (self._turns + 1) % self.blocks
        moved = sorted(self._live[oldest])
        self._live[oldest] = set()
        for slot in moved:
            self._append(slot, None if self.image is None else self.read(slot))
        self.erases[oldest] += 1
        if self.image is not None:
            size = self._units * self.unit
            self.image[oldest * size : (oldest + 1) * size] = 0xFF

    @property
    def time_s(self) -> Figure:
        """Seconds of all erasing and programming; the error band ends at maximum times, where known.

        Raises:
            BadBoard: if the board has no time of an erase or of programming a unit; names the field.
        """
        typical, worst = self._seconds(worst=False), self._seconds(worst=True)
        source = f"{self.board.source('flash.sectors')}; {self.board.source('flash.program_typ_us')}"
        band = worst / typical - 1 if typical else None
        return Figure(typical, "s", Provenance.MODELLED, source, None, band)

    @property
    def sessions(self) -> int | None:
        """Times that all of this can happen until a block reaches its endurance; ``None`` if none is worn.

        Raises:
            BadBoard: if the endurance is absent.
        """
        if not sum(self.erases):
            return None
        cycles: int = self.board.need("flash.endurance_cycles", "the lifetime of the flash")
        # Blocks take turns, so that in the long run all are worn alike.
        return cycles * self.blocks // sum(self.erases)

    def _seconds(self, *, worst: bool) -> float:
        flash = self.board.flash
        *_, (_, kind) = sectors(flash)
        erase = _either(kind.erase_typ_ms, kind.erase_max_ms, worst)
        program = _either(flash.program_typ_us, flash.program_max_us, worst)
        for field, found in (("flash.sectors.erase_typ_ms", erase), ("flash.program_typ_us", program)):
            if found is None:
                file = self.board.file or f"{self.board.name}.toml"
                reason = "neither a typical nor a maximum time is known, and a replay buffer needs one"
                way_out = f"fill it in, with its source, in a copy of {file}"
                raise BadBoard(f"board {self.board.name}: {field}", reason, way_out)
        assert erase is not None
        assert program is not None
        units = self.programmed * (self.record_bytes // flash.program_bytes)
        return sum(self.erases) * self._units * erase / 1e3 + units * program / 1e6


def _either(typical: float | None, most: float | None, worst: bool) -> float | None:
    first, second = (most, typical) if worst else (typical, most)
    return second if first is None else first
