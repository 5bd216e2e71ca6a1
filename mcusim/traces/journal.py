"""The working file of a recording: it can be cut at any point and continued there.

A Parquet file is readable only once its last byte is written, so a recording that may be killed
goes to a journal first. The journal keeps what the sink was given, each block once and a
block number, step and cycle for each write, so a session whose steps follow one plan costs
24 bytes a step. Frames carry their length and a CRC-32; a torn last frame is noticed and dropped.

Layout: the magic line, then frames of ``kind (1), payload bytes (8), crc32 (4), payload``, little-endian.
``H`` holds the header as JSON, ``B`` a block, ``W`` int64 triples ``(position of the block's
frame, step, cycle)``.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from mcusim.core.errors import BadTrace
from mcusim.events import EventTable, Header
from mcusim.events.schema import COLUMNS, ENUMERATED
from mcusim.events.sink import Write
from mcusim.events.table import DTYPES, ROW_BYTES

MAGIC = b"mcusim journal 1\n"
TRIPLE_BYTES = 3 * 8
FRAME = struct.Struct("<cQI")
MAX_PAYLOAD = 1 << 28
REMEMBERED = 64
"""Blocks kept at hand, when writing so as not to store them twice, and when reading."""


class JournalWriter:
    """Appends frames to an open binary file, at its current position."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._stored: OrderedDict[int, tuple[EventTable, int]] = OrderedDict()

    def begin(self, header: Header) -> None:
        """Write the magic line and the header."""
        self._file.write(MAGIC)
        self._frame(b"H", header.to_json().encode())

    def append(self, writes: list[Write]) -> None:
        """Write what the sink was given."""
        rows = [(self._position(write.block), write.step, write.cycle) for write in writes]
        if rows:
            self._frame(b"W", np.array(rows, "<i8").tobytes())

    def _position(self, block: EventTable) -> int:
        known = self._stored.pop(id(block), None)
        position = known[1] if known else self._frame(b"B", _encode(block))
        # The table is kept with its position: as long as it is referenced, its id is its own.
        self._stored[id(block)] = (block, position)
        if len(self._stored) > REMEMBERED:
            self._stored.popitem(last=False)
        return position

    def _frame(self, kind: bytes, payload: bytes) -> int:
        position = self._file.tell()
        self._file.write(FRAME.pack(kind, len(payload), zlib.crc32(payload)))
        self._file.write(payload)
        return position


class JournalReader:
    """Reads a journal back, without holding more than a few blocks of it.

    Raises:
        BadTrace: not a journal, or damaged before its last frame.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._blocks: OrderedDict[int, EventTable] = OrderedDict()
        self._file = open(path, "rb")  # noqa: SIM115 (closed by close)
        try:
            self._size = path.stat().st_size
            if self._file.read(len(MAGIC)) != MAGIC:
                raise self._bad("is not a recording in progress")
            kind, payload = self._next(len(MAGIC)) or (b"", b"")
            if kind != b"H":
                raise self._bad("has no header")
            self.header = Header.from_json(payload.decode("utf-8", "replace"))
            self._start = self._file.tell()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def end(self) -> tuple[int, int]:
        """Return the position after the last whole ``W`` frame, and the events until there."""
        position, whole, events = self._start, self._start, 0
        while (frame := self._next(position)) is not None:
            position = self._file.tell()
            if frame[0] == b"W":
                whole = position
                events += sum(len(self._block(int(at))) for at, _, _ in self._triples(frame[1]))
        return whole, events

    def writes(self, end: int) -> Iterator[Write]:
        """Yield the writes of the frames before position ``end``, in order.

        Raises:
            BadTrace: a damaged frame before ``end``, or ``end`` is not where one ends.
        """
        position = self._start
        while position < end:
            frame = self._next(position)
            if frame is None:
                raise self._bad(f"is damaged at byte {position}")
            position = self._file.tell()
            if frame[0] == b"W":
                for at, step, cycle in self._triples(frame[1]):
                    yield Write(self._block(at), step, cycle)
        if position != end:
            raise self._bad(f"has no frame that ends at byte {end}")

    def _next(self, position: int) -> tuple[bytes, bytes] | None:
        """Return the frame at a position, or None if it is not whole."""
        self._file.seek(position)
        head = self._file.read(FRAME.size)
        if len(head) < FRAME.size:
            return None
        kind, length, crc = FRAME.unpack(head)
        if length > min(MAX_PAYLOAD, self._size - self._file.tell()):
            return None
        payload = self._file.read(length)
        return (kind, payload) if zlib.crc32(payload) == crc else None

    def _block(self, position: int) -> EventTable:
        block = self._blocks.pop(position, None)
        if block is None:
            after = self._file.tell()
            frame = self._next(position) if self._start <= position < self._size else None
            kind, payload = frame or (b"", b"")
            self._file.seek(after)
            if kind != b"B":
                raise self._bad(f"refers to a block at byte {position} that is not there")
            try:
                block = _decode(payload)
            except (ValueError, TypeError, LookupError) as error:
                raise self._bad(f"has a damaged block at byte {position}") from error
        self._blocks[position] = block
        if len(self._blocks) > REMEMBERED:
            self._blocks.popitem(last=False)
        return block

    def _triples(self, payload: bytes) -> list[list[int]]:
        if len(payload) % TRIPLE_BYTES:
            raise self._bad("has a damaged list of writes")
        triples: list[list[int]] = np.frombuffer(payload, "<i8").reshape(-1, 3).tolist()
        return triples

    def _bad(self, reason: str) -> BadTrace:
        return BadTrace(str(self._path), reason, "delete it and record again")


def _encode(block: EventTable) -> bytes:
    names = json.dumps([block.tensor_names, block.op_names], allow_nan=False).encode()
    columns = (getattr(block, c).astype(DTYPES[c].newbyteorder("<")).tobytes() for c in COLUMNS)
    return b"".join([struct.pack("<QQ", len(block), len(names)), names, *columns])


def _decode(payload: bytes) -> EventTable:
    rows, text = struct.unpack_from("<QQ", payload)
    place = 16 + text
    if text > len(payload) or place + rows * ROW_BYTES != len(payload):
        raise ValueError("lengths disagree")
    tensors, ops = (tuple(map(str, names)) for names in json.loads(payload[16:place]))
    columns: dict[str, Any] = {}
    for column in COLUMNS:
        kind = DTYPES[column].newbyteorder("<")
        columns[column] = np.frombuffer(payload, kind, rows, place).astype(DTYPES[column])
        place += rows * kind.itemsize
    for column, words in (*ENUMERATED.items(), ("tensor", tensors), ("op", ops)):
        if rows and not 0 <= columns[column].min() <= columns[column].max() < len(words):
            raise ValueError(f"{column} is outside its vocabulary")
    return EventTable(**columns, tensor_names=tensors, op_names=ops)
