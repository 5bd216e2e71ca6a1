"""A checksum inside the file that it is of, so that a flipped bit anywhere in it is noticed.

The file is written with a blank checksum behind a mark of its form; ``seal`` then fills in the SHA-256 of all
bytes as they were. To check a file is to blank its checksum and compute it again.
"""

from __future__ import annotations

from hashlib import sha256
from typing import IO

BLANK = "0" * 64
CHUNK = 1 << 16
TAIL = 1 << 23
"""Bytes at the end of a file in which a mark is looked for."""


def seal(file: IO[bytes], mark: bytes) -> None:
    """Fill in the blank checksum behind the last ``mark`` of a file that is open for reading and writing."""
    at = _place(file, mark)
    assert at is not None, f"{mark!r} is not in the file"
    found = _digest(file, at)
    file.seek(at)
    file.write(found)


def is_sound(file: IO[bytes], mark: bytes) -> bool:
    """Return True if the file has a checksum behind its last ``mark``, and it is that of its bytes."""
    at = _place(file, mark)
    if at is None:
        return False
    file.seek(at)
    return file.read(len(BLANK)) == _digest(file, at)


def _place(file: IO[bytes], mark: bytes) -> int | None:
    size = file.seek(0, 2)
    # Backwards, piece by piece: most marks stand at the very end.
    for end in range(size, max(size - TAIL, 0), -CHUNK):
        start = max(end - CHUNK, 0)
        file.seek(start)
        found = file.read(end - start + len(mark)).rfind(mark)
        at = start + found + len(mark)
        if found >= 0:
            return at if at + len(BLANK) <= size else None
    return None


def _digest(file: IO[bytes], at: int) -> bytes:
    """Return the SHA-256 of a file, the checksum at ``at`` taken for blank."""
    digest = sha256()
    file.seek(0)
    left = at
    while left > 0 and (chunk := file.read(min(left, CHUNK))):
        digest.update(chunk)
        left -= len(chunk)
    digest.update(BLANK.encode())
    file.seek(at + len(BLANK))
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest().encode()
