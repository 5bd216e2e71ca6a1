"""What mcusim keeps on this machine for later, to look at and to remove."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mcusim.core import SaveFailed, UnknownName
from mcusim.core.cache import KINDS, MAX_BYTES, REMADE, CacheItem, cache_dir, items
from mcusim.sections.kinds import Column, Facts, Section, Table
from mcusim.sections.shown import Shown

COLUMNS = (
    Column("file"),
    Column("what", priority=2),
    Column("size", "B", "number"),
    Column("last used", priority=1),
)


@dataclass(frozen=True, slots=True)
class Cached(Shown):
    """What lies in the cache.

    Attributes:
        root: its folder.
        items: what is there, the least recently used first.
    """

    root: Path
    items: tuple[CacheItem, ...]

    @property
    def bytes(self) -> int:
        """Bytes of everything."""
        return sum(item.bytes for item in self.items)

    @property
    def bounded_bytes(self) -> int:
        """Bytes of what is made again when it is missing; never more than ``MAX_BYTES``."""
        return sum(item.bytes for item in self.items if item.kind in REMADE)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        rows = [
            {"file": self._name(item), "kind": item.kind, "bytes": item.bytes, "used": _time(item)}
            for item in self.items
        ]
        return {"folder": str(self.root), "bytes": self.bytes, "bound_bytes": MAX_BYTES, "items": rows}

    def sections(self) -> list[Section]:
        """Return what is there, and how much there may be."""
        rows = [(self._name(item), item.kind, item.bytes, _time(item)) for item in self.items]
        bound = f"{self.bounded_bytes:,} of at most {MAX_BYTES:,} B, the least recently used goes first"
        facts: list[tuple[str, str]] = [("cache", str(self.root)), ("made again", bound)]
        return [*([Table(COLUMNS, rows, last=("in all", "", self.bytes, ""))] if rows else []), Facts(facts)]

    def _name(self, item: CacheItem) -> str:
        return item.path.relative_to(self.root).as_posix()


def cache(*, remove: str | Iterable[str] = ()) -> Cached:
    """Return what mcusim keeps on this machine for later, after removing what is not wanted.

    Nothing is lost for good: features, data and compiled kernels are made again when they are wanted, what
    was fetched can be fetched again.

    Args:
        remove: kinds to remove: ``features`` of frozen layers, unpacked ``data``, compiled ``firmware``,
            ``fetched`` networks and data sets, ``leftover`` files of processes that were killed; or ``all``.

    Raises:
        UnknownName: for another kind.
        SaveFailed: if something cannot be removed.
    """
    kinds = {remove} if isinstance(remove, str) else {*remove}
    for kind in kinds - {*KINDS, "all"}:
        raise UnknownName("kind of cached file", kind, (*KINDS, "all"))
    root = cache_dir()
    for item in items(root):
        if item.kind in kinds or "all" in kinds:
            try:
                item.remove()
            except OSError as error:
                reason = f"cannot be removed: {error.strerror or error}"
                raise SaveFailed(str(item.path), reason, "remove it yourself") from error
    return Cached(root, tuple(items(root)))


def _time(item: CacheItem) -> str:
    return datetime.fromtimestamp(item.used, UTC).isoformat(" ", "minutes").removesuffix("+00:00")
