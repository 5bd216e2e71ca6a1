"""The user's cache: what is kept there, how much it may be, and what goes first.

Features, unpacked data and compiled kernels are made again when they are missing, so the least recently used
make room. What was fetched stays until a person removes it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import time

MAX_BYTES = 4 * 1024**3
"""Of all that can be made again, together."""
LEFTOVER_S = 24 * 3600
"""A file that was being written so long ago will not be finished any more."""
FEATURES, DATA, FIRMWARE, FETCHED, LEFTOVER = KINDS = ("features", "data", "firmware", "fetched", "leftover")
"""Of the frozen front; unpacked; compiled kernels; downloaded; what a process that was killed had begun."""
REMADE = (FEATURES, DATA, FIRMWARE)
"""What is made again when it is missing, and so is bounded."""


def cache_dir() -> Path:
    """Return the user's cache folder of this project."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("mcusim"))


@dataclass(frozen=True, slots=True)
class CacheItem:
    """A file or folder in the cache.

    Attributes:
        path: where it is.
        kind: one of ``KINDS``.
        bytes: on the disk.
        used: when it was used last, in seconds since 1970.
    """

    path: Path
    kind: str
    bytes: int
    used: float

    def remove(self) -> None:
        """Remove it; that another process was quicker is no error.

        Raises:
            OSError: if it cannot be removed.
        """
        with suppress(FileNotFoundError):
            if self.path.is_dir():
                shutil.rmtree(self.path)
            else:
                self.path.unlink()


def items(root: Path) -> list[CacheItem]:
    """Return everything in a cache, the least recently used first."""
    found = [item for item in map(_item, _entries(root)) if item is not None]
    return sorted(found, key=lambda item: (item.used, item.path))


def make_room(root: Path, size: int, mine: Path) -> None:
    """Remove leftovers, and the least recently used until ``size`` bytes beside the others are in bounds.

    Args:
        root: the cache.
        size: bytes that ``mine`` has or will have.
        mine: what is never removed.

    Raises:
        OSError: if something cannot be removed.
    """
    others = [item for item in items(root) if item.path != mine]
    total = sum(item.bytes for item in others if item.kind in REMADE) + size
    for item in others:
        if item.kind == LEFTOVER and time() - item.used > LEFTOVER_S:
            item.remove()
        elif item.kind in REMADE and total > MAX_BYTES:
            item.remove()
            total -= item.bytes


def use(path: Path) -> None:
    """Note that something is used now."""
    with suppress(OSError):
        os.utime(path)


def _entries(root: Path) -> Iterator[os.DirEntry[str]]:
    for name in (FEATURES, DATA, FIRMWARE, "models"):
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(root / name) as entries:
            yield from entries


def _item(entry: os.DirEntry[str]) -> CacheItem | None:
    try:
        stat, path = entry.stat(), Path(entry.path)
        size = sum(_used(p.stat()) for p in path.rglob("*")) if entry.is_dir() else _used(stat)
        return CacheItem(path, _kind(path, entry.is_dir()), size, stat.st_mtime)
    except OSError:  # gone, or not ours to see
        return None


def _kind(path: Path, folder: bool) -> str:
    if path.suffix == ".part":
        return LEFTOVER
    if path.parent.name in (FEATURES, FIRMWARE):
        return path.parent.name
    return DATA if folder else FETCHED


def _used(stat: os.stat_result) -> int:
    """Return the bytes on disk: rows that were never written are holes."""
    return min(stat.st_size, getattr(stat, "st_blocks", stat.st_size) * 512)
