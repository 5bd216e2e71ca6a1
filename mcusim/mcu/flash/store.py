"""A power-safe place for learned parameters: slots in turn, sequence number, checksum.

A slot is a run of whole sectors: a header unit, then the payload. A write goes to the slot that does
not hold the newest good copy: erase its sectors, program the payload, program the header last. The
header carries a sequence number, whose copy it is, the payload's length and a CRC-32 over all four, so a copy
counts only when it is whole; whatever moment the power fails, the previous copy was not touched.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from zlib import crc32

from mcusim.core import BadArgument, Interval
from mcusim.core.errors import LiveBlock, OutOfFlash
from mcusim.mcu.board import Board
from mcusim.mcu.flash.flash import ERASED, SimulatedFlash, sectors

MAGIC = b"mcuS"
_HEADER = struct.Struct("<4sIIII")
"""Magic, sequence number, identity of the network, payload bytes, CRC-32 of these three and the payload."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Slots of equal capacity at the end of a board's flash, in address order."""

    slots: tuple[Interval, ...]
    header_bytes: int

    @property
    def area(self) -> Interval:
        """All slots together."""
        return Interval(self.slots[0].start, self.slots[-1].end)


def lay_out(board: Board, payload_bytes: int, slots: int = 2) -> Layout:
    """Place ``slots`` copies of a payload on whole sectors at the end of flash.

    More than two slots spread the wear.

    Raises:
        BadArgument: if there are fewer than two slots or no payload.
        OutOfFlash: if they do not fit.
    """
    if slots < 2 or payload_bytes < 1:
        raise BadArgument(
            f"{slots} slots of {payload_bytes} B", "make no power-safe store", "use two slots or more"
        )
    header = header_bytes(board)
    needed = header + payload_bytes
    places: list[Interval] = []
    end = start = board.flash.bytes
    for unit, _ in reversed(list(sectors(board.flash))):
        start = unit.start
        if end - start >= needed:
            places.append(Interval(start, end))
            end = start
            if len(places) == slots:
                return Layout(tuple(reversed(places)), header)
    raise OutOfFlash(
        capacity_bytes=board.flash.bytes,
        needed_bytes=slots * needed,
        live=[LiveBlock(f"slot {i}", "checkpoint", needed) for i in range(slots)],
        where=f"{slots} power-safe copies on whole sectors of {board.name}",
    )


def header_bytes(board: Board) -> int:
    """Return the bytes of a slot before the payload: whole units of programming."""
    return _units(_HEADER.size, board.flash.program_bytes)


def _units(count: int, unit: int) -> int:
    return -(-count // unit) * unit


@dataclass(frozen=True, slots=True)
class Copy:
    """A good copy found in flash."""

    sequence: int
    slot: int
    payload: bytes
    network: int = 0


class Store:
    """Learned parameters in simulated flash.

    Args:
        flash: flash that covers the layout's area.
        layout: where the slots are.
        network: identity of what learns; copies of another do not count.
    """

    def __init__(self, flash: SimulatedFlash, layout: Layout, network: int = 0) -> None:
        self.flash, self.layout, self.network = flash, layout, network

    def recover(self) -> Copy | None:
        """Return the newest good copy, or ``None`` if there is none: what firmware does after a reset."""
        copies = [copy for slot in range(len(self.layout.slots)) if (copy := self._read(slot)) is not None]
        own = (copy for copy in copies if copy.network == self.network)
        return max(own, key=lambda copy: copy.sequence, default=None)

    def write(self, payload: bytes) -> Copy:
        """Write a new copy into the slot after the newest good one.

        Raises:
            BadArgument: if the payload is larger than a slot.
            PowerCut: if the supply fails; the newest good copy of before is still there.
        """
        last = self.recover()
        slot = (last.slot + 1) % len(self.layout.slots) if last else 0
        sequence = last.sequence + 1 if last else 1
        place, header = self.layout.slots[slot], self.layout.header_bytes
        unit = self.flash.board.flash.program_bytes
        if header + _units(len(payload), unit) > len(place):
            raise BadArgument(
                f"payload of {len(payload):,} B",
                f"does not fit a slot of {len(place):,} B",
                "lay out larger slots",
            )
        for index, sector in enumerate(self.flash.units):
            if sector.overlaps(place):
                self.flash.erase(index)
        self.flash.program(place.start + header, payload.ljust(_units(len(payload), unit), bytes([ERASED])))
        self.flash.program(
            place.start, head_of(sequence, payload, self.network).ljust(header, bytes([ERASED]))
        )
        return Copy(sequence, slot, payload, self.network)

    def _read(self, slot: int) -> Copy | None:
        place = self.layout.slots[slot]
        return copy_in(self.flash.read(place.start, len(place)), self.layout.header_bytes, slot)


def copy_in(data: bytes, header: int, slot: int = 0) -> Copy | None:
    """Return the copy that a slot holds, if it is whole; its payload begins after ``header`` bytes."""
    if len(data) < header:
        return None
    magic, sequence, network, length, checksum = _HEADER.unpack(data[: _HEADER.size])
    if magic != MAGIC or length > len(data) - header:
        return None
    payload = data[header : header + length]
    whole = _checksum(sequence, network, payload) == checksum
    return Copy(sequence, slot, payload, network) if whole else None


def head_of(sequence: int, payload: bytes, network: int = 0) -> bytes:
    """Return the header of a copy, not yet padded to whole units of programming."""
    return _HEADER.pack(MAGIC, sequence, network, len(payload), _checksum(sequence, network, payload))


def _checksum(sequence: int, network: int, payload: bytes) -> int:
    return crc32(payload, crc32(struct.pack("<III", sequence, network, len(payload))))
